"""Rollover: how two SAEs change to a new key in step. Pure; `quiver.consume` gives it keys, a channel and a tunnel."""
