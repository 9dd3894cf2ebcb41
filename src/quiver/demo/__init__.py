"""A QKD network on loopback: one process per agent and per device pair."""
