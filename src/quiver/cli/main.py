"""`quiver`: the one command. Each group of subcommands stands in a module of its own."""

import atexit
import gc
import sys
from importlib import metadata
from typing import Annotated

import typer

from quiver.cli import agent, bench, controller, demo, device, key, network, pki, simulate
from quiver.net import log

app = typer.Typer(
    name="quiver",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Key management for quantum key distribution (QKD) networks.",
)


def _show_version(wanted: bool) -> None:  # typer's own signature
    if wanted:
        sys.stdout.write(f"quiver {metadata.version('quiver-qkd')}\n")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show it, and exit.")
]


@app.callback()
def prepare(_version: VersionOption = False) -> None:
    """Before any command: logs go to stderr, warnings and errors only. A command that serves asks for more."""
    log.configure("WARNING")


app.add_typer(agent.app)
app.command()(bench.bench)
app.add_typer(controller.app)
app.add_typer(demo.app)
app.add_typer(device.app)
app.add_typer(key.app)
app.add_typer(network.app)
app.add_typer(pki.app)
app.command()(simulate.simulate)


def run() -> None:
    """Entry point of the console script."""
    atexit.register(gc.freeze)  # the interpreter's last collection need not look at every module again: 0.1 s less
    app()
