"""Consumers of relayed keys: what feeds WireGuard, strongSwan, any program, or a link encryptor for demonstrations."""
