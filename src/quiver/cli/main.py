"""`quiver`: the one command. Each group of subcommands stands in a module of its own."""

import typer

from quiver.cli import agent, device, pki

app = typer.Typer(
    name="quiver",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Key management for quantum key distribution (QKD) networks.",
)
app.add_typer(agent.app)
app.add_typer(device.app)
app.add_typer(pki.app)


def run() -> None:
    """Entry point of the console script."""
    app()
