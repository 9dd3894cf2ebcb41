"""`quiver demo-encrypt`: traffic of two sites under relayed keys, while the network breaks."""

import asyncio
import json
import sys
from typing import Annotated, Final, Literal

import typer
import uvloop
from rich.console import Console

from quiver.cli.progress import Progress
from quiver.demo.encrypt.job import Live, run_encrypt
from quiver.demo.encrypt.results import EncryptOptions, EncryptResult
from quiver.demo.encrypt.summary import encrypt_object, live_table, print_encrypt
from quiver.demo.run import until_signalled
from quiver.domain.errors import QuiverError

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_show_locals=False)

_PICTURE: Final = 0.5  # seconds between two pictures
_WIDTH: Final = 120  # columns, where there is no terminal


@app.command(name="demo-encrypt")
def demo_encrypt(
    tunnel: Annotated[
        Literal["auto", "wireguard", "link"],
        typer.Option(help="What encrypts: WireGuard (root), the link encryptor for demonstrations, or what goes here."),
    ] = "auto",
    rollovers: Annotated[int, typer.Option(min=1, max=1000, help="Keys that both ends are to change to.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the network, as in quiver demo.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")] = False,
) -> None:
    """Encrypt two sites' traffic with relayed keys; cut links and kill relays while it flows; say what that cost.

    WireGuard makes a handshake every two minutes, and each uses a new key: three take some five minutes.
    """
    try:
        with Progress() as progress:
            result = uvloop.run(until_signalled(_watched(tunnel, rollovers, seed, progress)))
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None
    if result is None:
        sys.stderr.write("quiver: interrupted; everything has been removed\n")
        raise typer.Exit(1)
    if as_json:
        sys.stdout.write(json.dumps(encrypt_object(result)) + "\n")
    else:
        print_encrypt(result, Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDTH))
    if not result.flawless:
        raise typer.Exit(1)


async def _watched(tunnel: str, rollovers: int, seed: int, progress: Progress) -> EncryptResult:
    live = Live()

    async def draw() -> None:
        while True:
            await asyncio.sleep(_PICTURE)
            if live.result is not None:
                progress.show(live_table(live))

    drawing = asyncio.create_task(draw())
    try:
        return await run_encrypt(EncryptOptions(kind=tunnel, rollovers=rollovers, seed=seed), progress.say, live)
    finally:
        drawing.cancel()
