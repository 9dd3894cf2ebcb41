"""Figures: what was measured, beside a ceiling measured in the same run, as `quiver bench --json` prints them."""

import math
import os
import platform
import sqlite3
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.backends.openssl import backend

__all__ = ["RUNS", "Ceiling", "Figure", "Machine", "Report", "latency", "percentile", "share", "throughput"]

RUNS: Final = 5
"""Runs of each figure and of its ceiling, in turns; the median counts."""

_DIGITS: Final = 4  # that are kept of a number; the spread of the runs is wider than the fourth


class Ceiling(msgspec.Struct, frozen=True):
    """What nothing of ours could beat on this machine.

    Attributes:
        name: what was measured instead.
        value: median of its runs, in the figure's unit.
    """

    name: str
    value: float


class Figure(msgspec.Struct, frozen=True):
    """One measured number.

    Attributes:
        name: dotted and stable.
        value: median of the runs.
        ratio: the part of the ceiling that is reached, 1.0 at best: value / ceiling, for times ceiling / value.
        runs: how many there were; `min` and `max` are the least and the greatest of them.
    """

    name: str
    value: float
    unit: str
    ceiling: Ceiling
    ratio: float
    runs: int
    min: float
    max: float


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured.

    Attributes:
        cores: that this process may use.
        pinned: whether what is measured has a core of its own; otherwise all processes share all cores.
        load: processes that wanted a core in the minute before, on average: work of others, which lowers all figures.
    """

    processor: str
    cores: int
    pinned: bool
    load: float
    system: str
    python: str
    openssl: str
    sqlite: str
    quiver: str

    @classmethod
    def here(cls) -> "Machine":
        """This one."""
        cores = len(usable_cores())
        return cls(
            processor=_processor(),
            cores=cores,
            pinned=cores > 1 and hasattr(os, "sched_setaffinity"),
            load=round(os.getloadavg()[0], 2),
            system=f"{platform.system()} {platform.release()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            openssl=backend.openssl_version_text(),
            sqlite=sqlite3.sqlite_version,
            quiver=metadata.version("quiver-qkd"),
        )


class Report(msgspec.Struct, frozen=True):
    """All figures of one run of the command."""

    machine: Machine
    figures: list[Figure]


def throughput(name: str, unit: str, values: Sequence[float], ceiling: str, ceilings: Sequence[float]) -> Figure:
    """A figure of which more is better; ratio = value / ceiling."""
    value, limit = statistics.median(values), statistics.median(ceilings)
    return _figure(name, unit, values, Ceiling(ceiling, _short(limit)), value / limit)


def latency(name: str, values: Sequence[float], ceiling: str, ceilings: Sequence[float]) -> Figure:
    """A time in milliseconds; ratio = ceiling / value."""
    value, limit = statistics.median(values), statistics.median(ceilings)
    return _figure(name, "ms", values, Ceiling(ceiling, _short(limit)), limit / value)


def percentile(name: str, percent: int, values: Sequence[float], ceiling: str, ceilings: Sequence[float]) -> Figure:
    """The time in milliseconds within which so many of a hundred ended; its ceiling likewise, ratio = ceiling / value."""
    value, limit = (sorted(times)[math.ceil(percent * len(times) / 100) - 1] for times in (values, ceilings))
    figure = _figure(name, "ms", values, Ceiling(ceiling, _short(limit)), limit / value)
    return msgspec.structs.replace(figure, value=_short(value))


def share(name: str, values: Sequence[float], ceiling: str) -> Figure:
    """A part of what is possible, one value for each case; the mean counts, and `min` is the worst case."""
    mean = statistics.fmean(values)
    return Figure(
        name=name,
        value=_short(mean),
        unit="share",
        ceiling=Ceiling(ceiling, 1.0),
        ratio=_short(mean),
        runs=len(values),
        min=_short(min(values)),
        max=_short(max(values)),
    )


def _figure(name: str, unit: str, values: Sequence[float], ceiling: Ceiling, ratio: float) -> Figure:
    return Figure(
        name=name,
        value=_short(statistics.median(values)),
        unit=unit,
        ceiling=ceiling,
        ratio=_short(ratio),
        runs=len(values),
        min=_short(min(values)),
        max=_short(max(values)),
    )


def _short(number: float) -> float:
    """A number with the digits that mean something."""
    if not number:
        return 0.0
    return round(number, _DIGITS - 1 - math.floor(math.log10(abs(number))))


def usable_cores() -> set[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
