"""`quiver agent`: the key management agent of a trusted node."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from quiver.agent.config import read_agent
from quiver.agent.config_check import check as findings_in
from quiver.agent.daemon import Listening, run_agent
from quiver.agent.management_term import forget_term as forget_term_of
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.net.log import configure

__all__ = ["app"]

app = typer.Typer(
    name="agent",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="The key management agent of a trusted node.",
)


@app.command()
def run(config: Annotated[Path, typer.Argument(help="TOML file of the agent.")]) -> None:
    """Run the agent until SIGINT or SIGTERM. One JSON line on stdout says where it listens; logs go to stderr.

    SIGHUP makes it read the file again and take over paths, directory and the time to wait.
    """
    try:
        configure(read_agent(config).log.level)
        uvloop.run(run_agent(lambda: read_agent(config), _print_line))
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None


def _print_line(values: Listening) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="TOML file of the agent.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")] = False,
) -> None:
    """Look for mistakes in an agent's configuration and its files; nothing is started and nothing is changed.

    Exit code 1 where something was found.
    """
    node: str | None = None
    summary = ""
    try:
        agent = read_agent(config)
        node = agent.node.id
        summary = f"{config}: node {node}, {len(agent.links)} links, {len(agent.paths)} paths: no mistake found\n"
        findings = findings_in(agent)
    except ConfigurationError as error:
        findings = [error.message]
    if as_json:
        sys.stdout.write(json.dumps({"config": str(config), "node": node, "ok": not findings, "findings": findings}))
        sys.stdout.write("\n")
    else:
        sys.stdout.write("".join(f"{finding}\n" for finding in findings) or summary)
    if findings:
        raise typer.Exit(1)


@app.command("forget-term")
def forget_term(config: Annotated[Path, typer.Argument(help="TOML file of the agent.")]) -> None:
    """Let an agent accept any controller term again, when it refuses the controller that leads. The agent must not run.

    Paths, addresses and SAEs stay. The fence against controllers that were replaced is down until the next one comes.
    """
    try:
        agent = read_agent(config)
        term = forget_term_of(agent.provision_database)
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None
    sys.stdout.write(f"node {agent.node.id}: term {term} is forgotten\n")
