"""The key management agent of one trusted node: planes, drivers, daemon."""
