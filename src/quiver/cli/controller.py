"""`quiver controller`: the SDN controller."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from quiver.controller.config import read_controller
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.net.log import configure

__all__ = ["app"]

app = typer.Typer(
    name="controller",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="The SDN controller: it owns the paths and never sees a key.",
)


@app.command()
def run(config: Annotated[Path, typer.Argument(help="TOML file of the controller.")]) -> None:
    """Run the controller until SIGINT or SIGTERM. One JSON line on stdout says where it listens; logs go to stderr.

    SIGHUP makes it read the file again and take over agents and demands.
    """
    from quiver.controller.daemon import run_controller  # with SciPy behind it, which no other command should wait for

    try:
        configure(read_controller(config).log.level)
        uvloop.run(run_controller(lambda: read_controller(config), _print_line))
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None


def _print_line(values: dict[str, str | int | None]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="TOML file of the controller.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")] = False,
) -> None:
    """Look for mistakes in a controller's configuration and its files; nothing is started and nothing is changed.

    Exit code 1 where something was found.
    """
    from quiver.controller.config_check import check as findings_in

    name: str | None = None
    summary = ""
    try:
        controller = read_controller(config)
        name = controller.controller.id
        counts = f"{len(controller.agents)} agents, {len(controller.demands)} demands"
        summary = f"{config}: controller {name}, {counts}: no mistake found\n"
        findings = findings_in(controller)
    except ConfigurationError as error:
        findings = [error.message]
    if as_json:
        answer = {"config": str(config), "controller": name, "ok": not findings, "findings": findings}
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write("".join(f"{finding}\n" for finding in findings) or summary)
    if findings:
        raise typer.Exit(1)
