"""The pure rules: pads, priming, delivery, meeting. No input or output, clock or randomness of its own."""
