"""Whole networks in one process, from one seed.

The classes are the agent's own: `Node`, `Driver`, the codec between nodes, and in part of the seeds the SQLite database. Only
transport, clock, randomness, devices and disk are replaced, by the modules here.
"""
