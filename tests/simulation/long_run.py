"""Many seeds in one long run: `python -m tests.simulation.long_run --seeds 20000 --jobs 2`."""

import argparse
import contextlib
import multiprocessing
import sys
import time

from .broken import RULES
from .run import SERVED, Outcome, run_seed

SHOWN = 10  # outcomes with violations that are printed in full
EVERY = 10.0  # seconds between two lines of progress


def tried(task: tuple[int, str]) -> Outcome:
    """Run one seed, with a rule broken where one is named; an exception is a violation too."""
    seed, broken = task
    with RULES[broken]() if broken else contextlib.nullcontext():
        try:
            return run_seed(seed)
        except Exception as error:  # noqa: BLE001  # the run goes on with the next seed
            return Outcome(seed, [f"{type(error).__name__}: {error}"], [], 0, 0, 0)


class Tally:
    """What has been seen so far."""

    def __init__(self, seeds: int):
        self.seeds, self.done, self.asked, self.served, self.explained = seeds, 0, 0, 0, 0
        self.loaded = self.loaded_served = 0
        self.bad: list[Outcome] = []
        self._start = self._said = time.monotonic()

    def note(self, outcome: Outcome) -> None:
        self.done += 1
        self.asked += outcome.asked
        self.served += outcome.served
        self.explained += outcome.explained
        self.loaded += outcome.loaded
        self.loaded_served += outcome.loaded_served
        if outcome.violations:
            self.bad.append(outcome)
            if len(self.bad) <= SHOWN:
                print(outcome, flush=True)
        now = time.monotonic()
        if now - self._said >= EVERY:
            self._said = now
            rate = self.done / (now - self._start)
            print(f"{self.done} of {self.seeds} seeds, {rate:.1f} a second, {len(self.bad)} bad", file=sys.stderr)

    @property
    def idle(self) -> bool:
        """Whether too few requests were served under load: a network that serves nobody breaks no other rule."""
        return self.loaded_served < SERVED * self.loaded

    def summary(self) -> str:
        failed = self.asked - self.served
        seconds = time.monotonic() - self._start
        return (
            f"{self.done} seeds in {seconds:.0f} s: {sum(len(o.violations) for o in self.bad)} violations"
            f" in {len(self.bad)} seeds; {self.asked} requests, {self.served} served,"
            f" {self.explained} of {failed} failures explained by a fault; under load"
            f" {self.loaded_served} of {self.loaded} requests served"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    parser.add_argument(
        "--broken", choices=sorted(RULES), default="", help="break a rule; stops at the first violation"
    )
    options = parser.parse_args()
    tally = Tally(options.seeds)
    tasks = ((seed, options.broken) for seed in range(options.start, options.start + options.seeds))
    with multiprocessing.Pool(options.jobs) as pool:
        for outcome in pool.imap(tried, tasks, chunksize=1 if options.broken else 4):
            tally.note(outcome)
            if options.broken and tally.bad:
                break
    print(tally.summary())
    if options.broken:
        first = f"first at seed {tally.bad[0].seed}" if tally.bad else "never"
        print(f"broken on purpose: {options.broken}; caught {first}")
        return 0 if tally.bad else 1
    if tally.idle:
        print(f"fewer than {SERVED:.0%} of the requests under load were served")
    return 1 if tally.bad or tally.idle else 0


if __name__ == "__main__":
    sys.exit(main())
