"""`quiver`: the one command. Each group of subcommands stands in a module of its own."""

import typer

app = typer.Typer(name="quiver", no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__)


@app.callback()
def quiver() -> None:
    """Key management for quantum key distribution (QKD) networks."""


def run() -> None:
    """Entry point of the console script."""
    app()
