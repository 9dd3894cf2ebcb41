"""NETCONF without input or output."""
