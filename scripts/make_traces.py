"""Makes the demand traces in src/quiver/simulate/traces anew from their seeds: `.venv/bin/python scripts/make_traces.py`."""

from pathlib import Path

from quiver.simulate.generate import LOADS, make_trace
from quiver.simulate.networks import network_named
from quiver.simulate.trace import written

SEEDS = {"backbone-145": 1, "backbone-145+12": 12, "mesh-145": 1, "mesh-1000": 1, "mesh-10000": 1}

if __name__ == "__main__":
    directory = Path(__file__).parents[1] / "src" / "quiver" / "simulate" / "traces"
    for name, seeds in SEEDS.items():
        for seed in range(1, seeds + 1):
            print(written(make_trace(network_named(name), seed, LOADS[name]), directory))
