"""Whole networks with their controller in one process: agents, management channel and controller, all from one seed."""
