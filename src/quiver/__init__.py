"""Quiver: the key management system of a quantum key distribution network."""
