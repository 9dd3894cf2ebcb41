"""`quiver simulate`: policies of routing side by side, on networks too large to start here."""

import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.simulate.outcome import Comparison, PolicyName
from quiver.simulate.trace import Trace, read_trace

__all__ = ["simulate"]

_DEFAULT: Final = "backbone-145+12"


def simulate(
    network: Annotated[
        str,
        typer.Argument(help="backbone-145, backbone-145+12, or mesh-N for N nodes.", show_default=True),
    ] = _DEFAULT,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Of a trace; may be repeated.", show_default="1")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Instead: a trace of your own, which names its network.")] = None,
    policy: Annotated[list[PolicyName] | None, typer.Option(help="May be repeated.", show_default="all")] = None,
    level: Annotated[
        int, typer.Option(min=0, max=limits.PAD_LEVEL_MAX, help="Bytes of pad per hop and direction.")
    ] = limits.PAD_LEVEL,
    plots: Annotated[Path | None, typer.Option(help="Directory for plots over time, as PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")] = False,
) -> None:
    """Let virtual links come and go and links break, and compare what policies of routing make of it."""
    try:
        comparison = _compared(network, seed or [1], trace, policy or list(PolicyName), level, plots)
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        sys.stderr.write("quiver: stopped\n")
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.write(msgspec.json.encode(comparison).decode() + "\n")
    else:
        _show(comparison)


def _compared(
    network: str, seeds: list[int], file: Path | None, policies: list[PolicyName], level: int, plots: Path | None
) -> Comparison:
    # The solver and the geometry take half a second to load, which no other command should pay.
    from quiver.simulate.compare import compare, trace_of
    from quiver.simulate.networks import network_named
    from quiver.simulate.plots import check_plotting, plot

    if plots is not None:
        check_plotting()
    own = None if file is None else _read(file)
    if own is not None and network not in (_DEFAULT, own.network):
        raise ConfigurationError(f"{file}: the trace is of the network {own.network}, not of {network}")
    made = network_named(network if own is None else own.network)
    traces = [trace_of(made, seed) for seed in dict.fromkeys(seeds)] if own is None else [own]
    comparison = compare(made, traces, list(dict.fromkeys(policies)), level, _progress)
    for path in plot(comparison, plots) if plots is not None else ():
        _progress(str(path))
    return comparison


def _read(file: Path) -> Trace:
    try:
        return read_trace(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error.message}") from None


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _show(comparison: Comparison) -> None:
    """A table for people."""
    seeds = ", ".join(str(run.seed) for run in comparison.runs)
    requests = sum(run.outcomes[0].requests for run in comparison.runs)
    sys.stdout.write(f"{comparison.network}: {comparison.nodes} nodes, {comparison.links} links\n")
    sys.stdout.write(
        f"seeds {seeds}: {requests} requests; pad up to {comparison.level} bytes per hop and direction\n\n"
    )
    table = Table(Column("Policy", no_wrap=True), box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("Rejected", "Worst", "Served", "Worst", "Broken", "Moved", "Slowest"):
        table.add_column(name, justify="right")
    for one in comparison.summary:
        table.add_row(
            str(one.policy),
            *(f"{100 * one.rejected_share:.1f} %", f"{100 * one.rejected_share_worst:.1f} %"),
            *(f"{100 * one.served_share:.1f} %", f"{100 * one.served_share_worst:.1f} %"),
            *(f"{one.broken:.0f}", f"{one.moves:.0f}", f"{one.slowest:.2f} s"),
        )
    Console(file=sys.stdout).print(table)
    sys.stdout.write("\nRejected: requests without their full rate on arrival. Served: of the bits asked for.\n")
    sys.stdout.write("Broken and moved: placements of one trace, by faults and by choice. Slowest: one arrangement.\n")
