"""Routing by available key: the graph, the fast choice, disjoint routes, the global allocation and damping. Pure functions."""
