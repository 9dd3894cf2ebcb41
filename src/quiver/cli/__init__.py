"""The command `quiver`."""
