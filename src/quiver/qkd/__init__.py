"""Southbound: the client of QKD devices and their simulator with vendor profiles."""
