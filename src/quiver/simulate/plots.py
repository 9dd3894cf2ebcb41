"""Plots of a comparison, as PNG files: rejections, served share and pad levels over time. Needs the extra `plots`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from quiver.domain.errors import ConfigurationError
from quiver.simulate.outcome import Comparison, Run, Series

__all__ = ["check_plotting", "plot"]

_HOUR: Final = 3600
_SIZE: Final = (9.0, 4.5)  # inches
_KINDS: Final[dict[str, tuple[str, tuple[tuple[str, Callable[[Series], list[float] | list[int]]], ...]]]] = {
    "rejections": ("requests rejected so far", (("-", lambda series: series.rejections),)),
    "served": ("share of the demand that is served", (("-", lambda series: series.served_share),)),
    "pads": (
        "pad, share of its bound: mean, and (dashed) the emptiest tenth of the hops",
        (("-", lambda series: series.pad_mean), ("--", lambda series: series.pad_least)),
    ),
}


def check_plotting() -> None:
    """Find out whether plots can be made.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401  # an extra: who does not plot need not install it
    except ImportError:
        raise ConfigurationError(
            "plots need matplotlib: `make plots` installs it, or the extra quiver-qkd[plots]"
        ) from None


def plot(comparison: Comparison, directory: Path) -> list[Path]:
    """Write three plots for each seed into a directory, which is made if need be.

    Raises:
        ConfigurationError: matplotlib is not installed, or the directory cannot be written to.
    """
    check_plotting()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [_drawn(comparison, run, kind, directory) for run in comparison.runs for kind in _KINDS]
    except OSError as error:
        raise ConfigurationError(f"{directory}: {error.strerror}") from None


def _drawn(comparison: Comparison, run: Run, kind: str, directory: Path) -> Path:
    from matplotlib.figure import Figure

    title, lines = _KINDS[kind]
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    for number, outcome in enumerate(run.outcomes):
        hours = [time / _HOUR for time in outcome.series.times]
        for style, values in lines:
            label = str(outcome.policy) if style == "-" else None
            axes.step(hours, values(outcome.series), style, where="post", color=f"C{number}", label=label)
    axes.set_title(f"{comparison.network}, seed {run.seed}: {title}")
    axes.set_xlabel("hours")
    axes.set_ylim(bottom=0)
    axes.legend()
    path = directory / f"{comparison.network}.{run.seed:02}.{kind}.png"
    figure.savefig(path, dpi=120)
    return path
