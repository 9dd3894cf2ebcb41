"""`quiver`: the one command. Each group of subcommands stands in a module of its own, which is imported when it is asked for."""

import atexit
import gc
import sys
from importlib import import_module, metadata
from typing import Annotated, Final

import typer
from typer.core import TyperCommand, TyperGroup

from quiver.net import log

_COMMANDS: Final = (
    "agent",
    "bench",
    "consume",
    "controller",
    "demo",
    "demo-encrypt",
    "device",
    "key",
    "network",
    "pki",
    "simulate",
)


class _Commands(TyperGroup):
    """Nobody waits for another command's libraries: the processes of a demo start in half the time, and so do all others."""

    def list_commands(self, ctx: object) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperGroup | TyperCommand | None:
        del ctx
        return _loaded(cmd_name) if cmd_name in _COMMANDS else None


def _loaded(name: str) -> TyperGroup | TyperCommand:
    """A command: its module has a group `app`, or a function of the command's own name."""
    module = import_module(f"quiver.cli.{name.replace('-', '_')}")
    holder = typer.Typer(add_completion=False)
    if hasattr(module, "app"):
        holder.add_typer(module.app)
    else:
        holder.command()(getattr(module, name))
    found = typer.main.get_group(holder).commands[name]
    assert isinstance(found, TyperGroup | TyperCommand)
    return found


app = typer.Typer(
    name="quiver",
    cls=_Commands,
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


def run() -> None:
    """Entry point of the console script."""
    atexit.register(gc.freeze)  # the interpreter's last collection need not look at every module again: 0.1 s less
    app()
