"""`quiver demo-encrypt`: two sites encrypt their traffic with relayed keys, while the network between their nodes breaks."""
