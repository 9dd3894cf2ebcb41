"""Wire formats, sans-IO: ETSI GS QKD 014 and the messages between nodes."""
