"""`quiver consume`: keys of the network for WireGuard and others, one process at each end of a tunnel."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from quiver.consume.config import ConsumerConfig, read_consumer
from quiver.domain.errors import ConfigurationError, QuiverError
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


@app.command()
def strongswan(config: ConfigArgument) -> None:
    """Give charon post-quantum pre-shared keys of IKEv2 (RFC 8784) over VICI, until SIGINT or SIGTERM."""
    _run("strongswan", config)


@app.command(name="exec")
def exec_(config: ConfigArgument) -> None:
    """Call a program with each new key, on descriptor 3, until SIGINT or SIGTERM."""
    _run("exec", config)


@app.command()
def link(config: ConfigArgument) -> None:
    """A DEMONSTRATION, not for traffic that matters: encrypt UDP, TCP or a TUN interface by AES-256-GCM, until a signal."""
    _run("link", config)


@app.command()
def check(config: ConfigArgument, as_json: JsonOption = False) -> None:
    """Look for mistakes in a consumer's configuration and its files; nothing is started and nothing is changed.

    Exit code 1 where something was found.
    """
    from quiver.consume.config_check import check as findings_in

    kind: str | None = None
    summary = ""
    try:
        found = read_consumer(config)
        kind = found.kind
        summary = f"{config}: {kind}, {found.consumer.role}, partner {found.partner.sae}: no mistake found\n"
        findings = findings_in(found)
    except ConfigurationError as error:
        findings = [error.message]
    if as_json:
        answer = {"config": str(config), "consumer": kind, "ok": not findings, "findings": findings}
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write("".join(f"{finding}\n" for finding in findings) or summary)
    if findings:
        raise typer.Exit(1)


@app.command()
def status(
    config: Annotated[
        Path | None, typer.Argument(help="TOML file of a consumer that runs, with the port of its metrics.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="http://host:port of its metrics, in place of the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a consumer that runs is: keys, their age, failures. Exit code 1 where it is not well, or does not answer."""
    from quiver.consume.status import read_status, words_of

    if (config is None) is (metrics is None):
        raise typer.BadParameter("name the consumer's file or, with --metrics, where its metrics are")
    try:
        url = metrics or _metrics_of(read_consumer(config)) if config is not None else metrics
        assert url is not None
        found = uvloop.run(read_status(url))
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None
    sys.stdout.write(json.dumps(found) + "\n" if as_json else words_of(found))
    if found["trouble"] is not None:
        raise typer.Exit(1)


def _metrics_of(config: ConsumerConfig) -> str:
    """Where the metrics of a configuration are.

    Raises:
        ConfigurationError: nowhere, or at a port that only the running process knows.
    """
    if config.metrics is None or config.metrics.listen.port == 0:
        raise ConfigurationError("[metrics] listen: a fixed port is needed; or name the place with --metrics")
    listen = config.metrics.listen
    return f"http://{f'[{listen.host}]' if ':' in listen.host else listen.host}:{listen.port}"


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
