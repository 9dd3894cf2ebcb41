"""Simulation of routing at scale: whole networks without sockets, by the domain code that the controller runs."""
