"""`quiver bench`: how fast this machine is with Quiver, each figure beside a ceiling measured in the same run."""

import asyncio
import sys
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from quiver.bench.figures import Report
from quiver.bench.run import Group, measure
from quiver.domain.errors import QuiverError

__all__ = ["bench"]


def bench(
    group: Annotated[Group, typer.Argument(help="Which figures.")],
    seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="Time of each figure with its ceiling; the start not counted.")
    ] = 4.0,
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
    """A table for people: times in milliseconds, rates per second."""
    machine = report.machine
    table = Table("Figure", title=f"{machine.processor}, {machine.cores} cores, {machine.python}", title_justify="left")
    for name in ("Value", "Min", "Max"):
        table.add_column(name, justify="right")
    table.add_column("Unit")
    table.add_column("Ceiling", justify="right")
    table.add_column("Ratio", justify="right")
    table.add_column("Ceiling is", overflow="fold")
    for figure in report.figures:
        numbers = (_number(value) for value in (figure.value, figure.min, figure.max))
        ceiling = figure.ceiling
        table.add_row(figure.name, *numbers, figure.unit, _number(ceiling.value), f"{figure.ratio:.3f}", ceiling.name)
    Console(file=sys.stdout).print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
