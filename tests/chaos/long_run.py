"""Kills, stops, cuts and restarts in any order, many of them: `python -m tests.chaos.long_run --steps 200 --seed 1`."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from quiver.net.log import configure
from tests.chaos.run import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, help="of the steps; drawn and printed where it is left out")
    parser.add_argument("--keep", action="store_true", help="leave logs and databases where something was found")
    options = parser.parse_args()
    seed = random.randrange(1 << 31) if options.seed is None else options.seed
    configure("ERROR")
    root = Path(tempfile.mkdtemp(prefix="quiver-chaos-"))
    print(f"seed {seed}, in {root}", file=sys.stderr)
    outcome = None
    try:
        outcome = asyncio.run(run(seed, options.steps, root, lambda line: print(line, file=sys.stderr, flush=True)))
    finally:
        if not options.keep or (outcome is not None and not outcome.violations):
            shutil.rmtree(root)
    print(outcome)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
