"""An SAE's library: ETSI GS QKD 014 over mutual TLS."""
