"""`quiver demo`: a QKD network on this machine that relays keys while one watches."""

import json
import sys
from typing import Annotated, Final

import typer
import uvloop
from rich.console import Console

from quiver.cli.progress import Progress
from quiver.demo.job import run_job
from quiver.demo.network import DemoNetwork
from quiver.demo.report import job_object, serve_object
from quiver.demo.results import JobOptions
from quiver.demo.run import serve, until_signalled
from quiver.demo.summary import print_job, print_network, print_trace
from quiver.domain import limits
from quiver.domain.errors import QuiverError

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_show_locals=False)

_KEYS: Final = 100_000  # more than these take longer than anybody watches
_WIDTH: Final = 120  # columns, where there is no terminal


def _whole_bytes(size: int) -> int:
    if size % 8:
        raise typer.BadParameter(f"{size} is not a multiple of 8")
    return size


@app.command()
def demo(
    keys: Annotated[int, typer.Option(min=1, max=_KEYS, help="Keys for the main pair of SAEs.")] = 200,
    size: Annotated[
        int,
        typer.Option(
            min=limits.KEY_SIZE_MIN, max=limits.KEY_SIZE_MAX, callback=_whole_bytes, help="Bits of each, in steps of 8."
        ),
    ] = limits.KEY_SIZE_DEFAULT,
    seed: Annotated[int, typer.Option(min=0, help="Draws vendors, lengths and fluctuation of the links.")] = 1,
    trace: Annotated[bool, typer.Option("--trace", help="Follow one key, message by message.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")] = False,
    serving: Annotated[
        bool, typer.Option("--serve", help="Start the network, say where it listens, and keep it running.")
    ] = False,
) -> None:
    """Start a QKD network on this machine, relay keys through it, break things meanwhile, and say what happened.

    Everything runs on the loopback and keeps its state in one temporary directory. Nothing is left behind, also after Ctrl-C.
    """
    if serving and trace:
        raise typer.BadParameter("--trace follows a key of the main job, which --serve does not do")
    try:
        done = (
            _serve(seed, as_json)
            if serving
            else _job(JobOptions(keys=keys, size=size, seed=seed, trace=trace), as_json)
        )
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None
    if not done:
        raise typer.Exit(1)


def _job(options: JobOptions, as_json: bool) -> bool:
    """Whether every key came to both its ends, no request failed, and every path moved that had to."""
    with Progress() as progress:
        result = uvloop.run(until_signalled(run_job(options, progress.say)))
    if result is None:
        sys.stderr.write("quiver: interrupted; everything has been removed\n")
        return False
    if as_json:
        _print_json(job_object(result))
    else:
        console = _stdout()
        print_job(result, console)
        if result.trace is not None:
            print_trace(result.trace, console)
    return result.flawless


def _serve(seed: int, as_json: bool) -> bool:
    with Progress() as progress:

        def tell(network: DemoNetwork) -> None:
            if as_json:
                _print_json(serve_object(network))
            else:
                print_network(network, _stdout())
            sys.stdout.flush()

        uvloop.run(until_signalled(serve(seed, progress.say, tell)))
    return True


def _stdout() -> Console:
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def _print_json(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
