"""Certificate authorities, signing requests and certificates of nodes, SAEs and devices."""
