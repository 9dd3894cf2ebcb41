"""`quiver key`: an SAE's client of its KME, classical or post-quantum by the kind of its certificate."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import msgspec
import typer
import uvloop

from quiver.client import Credentials, KmeClient, Timeouts
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.domain.reply import DeliveredKey
from quiver.protocols.etsi014 import Key, KeyContainer, encode

__all__ = ["app"]

app = typer.Typer(
    name="key",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="An SAE's client: status and keys of its KME over ETSI GS QKD 014.",
)

KmeOption = Annotated[str, typer.Option(help="https://host:port of the KME.")]
CertOption = Annotated[
    Path, typer.Option(help="Certificate of this SAE, PEM: its identity. ML-DSA means post-quantum.")
]
KeyOption = Annotated[Path, typer.Option(help="Its private key, PEM.")]
CaOption = Annotated[list[Path], typer.Option(help="CA of the KMEs, PEM; several times for several.")]
SaeOption = Annotated[str, typer.Option(help="SAE ID of the other side.")]
NameOption = Annotated[
    str | None,
    typer.Option(help="Whom to find in the KME's certificate, if not the URL's host; urn:quiver:kme:ID, say."),
]
TimeoutOption = Annotated[float, typer.Option(min=0.1, max=300, help="Seconds.")]
OutOption = Annotated[
    Path | None, typer.Option(help="Write the keys into this new file (mode 0600), as a Key container.")
]
StdoutOption = Annotated[bool, typer.Option("--stdout", help="Print the keys themselves.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]

_T = TypeVar("_T")


@contextmanager
def _reported() -> Iterator[None]:
    """Errors of ours become one line on stderr and exit code 1."""
    try:
        yield
    except QuiverError as error:
        details = "".join(f"; {name}: {value}" for name, value in error.details.items())
        sys.stderr.write(f"quiver: {error.message}{details}\n")
        raise typer.Exit(1) from None


@app.command()
def status(
    kme: KmeOption,
    cert: CertOption,
    key: KeyOption,
    ca: CaOption,
    sae: SaeOption,
    server_name: NameOption = None,
    timeout: TimeoutOption = 15.0,
    as_json: JsonOption = False,
) -> None:
    """Show what the KME has for this SAE as master and the other as slave."""
    with _reported():
        found = _ask(kme, (cert, key, ca), server_name, timeout, lambda client: client.status(sae))
        rows: dict[str, Any] = msgspec.to_builtins(found)
        if as_json:
            _print_json(rows)
            return
        for name, value in rows.items():
            sys.stdout.write(f"{name:22}{value if isinstance(value, str | int) else json.dumps(value)}\n")


@app.command()
def get(
    kme: KmeOption,
    cert: CertOption,
    key: KeyOption,
    ca: CaOption,
    sae: SaeOption,
    number: Annotated[int, typer.Option(help="How many keys.")] = 1,
    size: Annotated[int | None, typer.Option(help="Bits of each (default: the KME's key_size).")] = None,
    out: OutOption = None,
    stdout: StdoutOption = False,
    server_name: NameOption = None,
    timeout: TimeoutOption = 15.0,
    as_json: JsonOption = False,
) -> None:
    """Get new keys to share with the other SAE, which fetches them by the key_IDs that this prints."""
    _one_place(out, stdout)
    with _reported():
        files = (cert, key, ca)
        _fetch(kme, files, server_name, timeout, lambda client: client.get_keys(sae, number, size), out, as_json)


@app.command()
def retrieve(
    key_ids: Annotated[list[str], typer.Argument(metavar="KEY_ID...", help="key_IDs that the master told.")],
    kme: KmeOption,
    cert: CertOption,
    key: KeyOption,
    ca: CaOption,
    sae: SaeOption,
    out: OutOption = None,
    stdout: StdoutOption = False,
    server_name: NameOption = None,
    timeout: TimeoutOption = 15.0,
    as_json: JsonOption = False,
) -> None:
    """Fetch keys that the other SAE got, by their key_IDs; each is given once."""
    _one_place(out, stdout)
    with _reported():
        files = (cert, key, ca)
        _fetch(kme, files, server_name, timeout, lambda client: client.get_keys_by_id(sae, key_ids), out, as_json)


def _one_place(out: Path | None, stdout: bool) -> None:
    """Keys go to one place, and it is named before anything is asked.

    Raises:
        typer.BadParameter: neither a file nor stdout was chosen, or both.
    """
    if (out is None) is not stdout:
        raise typer.BadParameter("say where the keys shall go: either --out FILE or --stdout")


def _ask(
    kme: str,
    files: tuple[Path, Path, list[Path]],
    server_name: str | None,
    timeout: float,
    call: Callable[[KmeClient], Awaitable[_T]],
) -> _T:
    certificate, key, trust = files

    async def ask() -> _T:
        credentials = Credentials(certificate, key)
        times = Timeouts(timeout, timeout)
        async with KmeClient(kme, credentials, trust, server_name=server_name, timeouts=times) as client:
            return await call(client)

    return uvloop.run(ask())


def _fetch(
    kme: str,
    files: tuple[Path, Path, list[Path]],
    server_name: str | None,
    timeout: float,
    call: Callable[[KmeClient], Awaitable[list[DeliveredKey]]],
    out: Path | None,
    as_json: bool,
) -> None:
    """Ask for keys and put them where they shall go."""
    if out is None:
        keys = _ask(kme, files, server_name, timeout, call)
        if as_json:
            sys.stdout.write(_container(keys).decode() + "\n")
            return
        for entry in json.loads(_container(keys))["keys"]:
            sys.stdout.write(f"{entry['key_ID']} {entry['key']}\n")
        return
    with _new_file(out) as file:
        keys = _ask(kme, files, server_name, timeout, call)
        file.write(_container(keys) + b"\n")
    if as_json:
        told = [{"key_ID": one.key_id, "size": 8 * len(one.key)} for one in keys]
        _print_json({"file": str(out), "keys": told})
        return
    sys.stdout.writelines(f"{one.key_id}\n" for one in keys)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file made for its owner only, before the keys are asked for; durable at the end, or gone if they do not come.

    Raises:
        ConfigurationError: it exists or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path}: exists already; nothing is overwritten") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigurationError(f"{path}: {error.strerror}; the keys are lost") from None
        raise


def _container(keys: list[DeliveredKey]) -> bytes:
    return encode(KeyContainer(keys=tuple(Key(key_id=one.key_id, key=one.key) for one in keys)))


def _print_json(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
