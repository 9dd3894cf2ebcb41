"""`quiver device`: run simulated QKD devices, break their links, and ask a device how it is."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from quiver.domain.errors import QuiverError
from quiver.qkd.client import DeviceClient, Timeouts
from quiver.qkd.config import read_link
from quiver.qkd.control import find_socket, order_fault, run_link
from quiver.qkd.device import DeviceStatus
from quiver.qkd.profiles import Dialect, profile_named
from quiver.qkd.simulator import Fault
from quiver.qkd.tls import client_context

__all__ = ["app"]

app = typer.Typer(
    name="device",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Simulated QKD devices: run them, break their links, ask one how it is.",
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]


@contextmanager
def _reported() -> Iterator[None]:
    """Errors of ours become one line on stderr and exit code 1."""
    try:
        yield
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None


def _print_line(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML file of one link.")],
    time_scale: Annotated[
        float | None, typer.Option(min=1e-6, max=1e6, help="Seconds of channel time per second.")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="Directory for socket and ready file.")] = None,
) -> None:
    """Run both devices of a simulated QKD link until SIGINT or SIGTERM.

    One JSON line on stdout, and LINK.json in the state directory, say where they listen.
    """
    with _reported():
        link = read_link(config)
        if time_scale is not None:
            link = msgspec.structs.replace(link, time_scale=time_scale)
        if state is not None:
            link = msgspec.structs.replace(link, state=str(state.resolve()))
        uvloop.run(run_link(link, _print_line))


@app.command()
def fault(
    link: Annotated[str, typer.Argument(help="Name of the link.")],
    what: Annotated[Fault, typer.Argument(help="What happens to it.")],
    state: Annotated[
        Path | None, typer.Option(help="State directory of the link or demo; not needed if only one runs.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="one-side: SAE or KME ID of the end that vanishes (default: the second).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Break a running simulated link, or repair it."""
    with _reported():
        answer = order_fault(find_socket(link, state), what, end)
        if as_json:
            _print_line(answer)
            return
        error_rate = "none" if answer["qber"] is None else f"{answer['qber']:.4f}"
        sys.stdout.write(
            f"{answer['link']}: {answer['fault']}, {answer['key_rate_bits_per_second']:.0f} bit/s of secret key, "
            f"QBER {error_rate}, {answer['stored_keys']} keys in stock\n"
        )


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="https://host:port of the device.")],
    cert: Annotated[Path, typer.Option(help="Our certificate, PEM.")],
    key: Annotated[Path, typer.Option(help="Its private key, PEM.")],
    ca: Annotated[Path, typer.Option(help="The devices' CA, PEM.")],
    peer: Annotated[str, typer.Option(help="SAE ID of the agent at the link's other end.")],
    profile: Annotated[str | None, typer.Option(help="Vendor, for its status extensions.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=300, help="Seconds.")] = 15.0,
    as_json: JsonOption = False,
) -> None:
    """Ask a QKD device, real or simulated, for its status."""
    with _reported():
        dialect = profile_named(profile).dialect if profile else Dialect()
        told = asyncio.run(_probe(url, peer, (cert, key, ca), dialect, Timeouts(timeout, timeout)))
        rows: dict[str, Any] = msgspec.to_builtins(told.status)
        if told.qber is not None:
            rows["qber"] = told.qber
        if told.link_up is not None:
            rows["link_up"] = told.link_up
        if as_json:
            _print_line(rows)
            return
        table = Table("Member", "Value", title=f"Status of {url}", title_justify="left")
        for name, value in rows.items():
            table.add_row(name, json.dumps(value) if isinstance(value, dict) else str(value))
        Console(file=sys.stdout).print(table)


async def _probe(
    url: str, peer: str, files: tuple[Path, Path, Path], dialect: Dialect, timeouts: Timeouts
) -> DeviceStatus:
    tls = client_context(*files)
    async with DeviceClient(url, peer, tls=tls, dialect=dialect, timeouts=timeouts) as client:
        return await client.status()
