"""`quiver bench`: how fast this machine is with Quiver, each figure beside a ceiling measured in the same run."""

import asyncio
import sys
from typing import Annotated, Final

import msgspec
import typer
import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from quiver.bench.figures import Report
from quiver.bench.run import Group, measure
from quiver.domain.errors import QuiverError

__all__ = ["bench"]

_MILLION: Final = 1_000_000


def bench(
    group: Annotated[Group, typer.Argument(help="Which figures.")],
    seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="Time of each figure with its ceiling; the start not counted.")
    ] = 2.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")] = False,
) -> None:
    """Measure real agents on loopback, each figure beside what this machine could do at best (the ceiling)."""
    try:
        report = uvloop.run(measure(group, seconds, _progress))
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None
    except asyncio.CancelledError:
        sys.stderr.write("quiver: stopped\n")
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _show(report)


def _progress(line: str) -> None:
    sys.stderr.write(f"{line} ...\n")
    sys.stderr.flush()


def _show(report: Report) -> None:
    """A table for people, and beneath it what each ceiling is."""
    machine = report.machine
    place = "the measured agent alone on one" if machine.pinned else "shared by all processes"
    sys.stdout.write(f"{machine.processor}, {machine.cores} cores ({place}), {machine.python}\n")
    sys.stdout.write(f"load before: {machine.load:.1f}, of other work, which lowers all figures\n\n")
    table = Table(Column("Figure", no_wrap=True), box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("Value", "Spread"):
        table.add_column(name, justify="right")
    table.add_column("Unit")
    for name in ("Ceiling", "Ratio"):
        table.add_column(name, justify="right")
    for figure in report.figures:
        spread = f"{100 * (figure.max - figure.min) / figure.value:.0f} %"
        numbers = _number(figure.ceiling.value), f"{figure.ratio:.3f}"
        table.add_row(figure.name, _number(figure.value), spread, figure.unit, *numbers)
    Console(file=sys.stdout).print(table)
    sys.stdout.write("\n")
    for figure in report.figures:
        sys.stdout.write(f"{figure.name}: the ceiling is {figure.ceiling.name}\n")


def _number(value: float) -> str:
    if value >= _MILLION:
        return f"{value / _MILLION:,.1f} M"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
