"""`quiver consume`: keys of the network for WireGuard and others, one process at each end of a tunnel."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from quiver.consume.config import read_consumer
from quiver.domain.errors import QuiverError
from quiver.net.log import configure

__all__ = ["app"]

app = typer.Typer(
    name="consume",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Feed a tunnel with keys of the network, one process at each of its ends, which change keys in step.",
)

ConfigArgument = Annotated[Path, typer.Argument(help="TOML file of this end.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]


@app.command()
def wireguard(config: ConfigArgument) -> None:
    """Set the pre-shared key of a WireGuard peer, in the kernel or in userspace, until SIGINT or SIGTERM.

    One JSON line on stdout says that it is at work; logs go to stderr.
    """
    _run("wireguard", config)


@app.command(name="exec")
def exec_(config: ConfigArgument) -> None:
    """Call a program with each new key, on descriptor 3, until SIGINT or SIGTERM."""
    _run("exec", config)


@app.command()
def link(config: ConfigArgument) -> None:
    """A DEMONSTRATION, not for traffic that matters: encrypt UDP, TCP or a TUN interface by AES-256-GCM, until a signal."""
    _run("link", config)


def _run(kind: str, path: Path) -> None:
    from quiver.consume.daemon import run_consumer  # with TLS behind it, which `--help` should not wait for

    try:
        config = read_consumer(path, kind)
        configure(config.log.level)
        uvloop.run(run_consumer(config, _print_line))
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None


def _print_line(values: dict[str, str | int | None]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
