"""`quiver pki`: authorities, signing requests and certificates."""

import datetime
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.identity import registry
from quiver.identity.pki import CERTIFICATE_DAYS, write_certificate
from quiver.identity.profiles import AUTHORITIES, PROFILES, profile_named

__all__ = ["app"]

app = typer.Typer(
    name="pki",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Authorities, signing requests and certificates.",
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]
ProfileOption = Annotated[
    str, typer.Option(help="; ".join(f"{one.name}: {one.for_what}" for one in PROFILES.values()) + ".")
]


@contextmanager
def _reported() -> Iterator[None]:
    """Errors of ours become one line on stderr and exit code 1."""
    try:
        yield
    except QuiverError as error:
        sys.stderr.write(f"quiver: {error.message}\n")
        raise typer.Exit(1) from None


def _print_json(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")


def _lines(entries: dict[str, Any]) -> str:
    rows = []
    for name, value in entries.items():
        if value in (None, [], ""):
            continue
        words = ", ".join(value) if isinstance(value, list) else str(value)
        words = "".join(letter if letter.isprintable() else "?" for letter in words)  # a request may be hostile
        rows.append(f"  {name.replace('_', ' '):16}{words}\n")
    return "".join(rows)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where the authorities' keys and certificates go (0700).")],
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Make only this one, several times for several: {', '.join(AUTHORITIES)}."),
    ] = None,
    network: Annotated[str, typer.Option(help="The network's name, part of the authorities' names.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make the network's authorities, one group or all of them.

    Nodes: ML-DSA-65. SAEs: ECDSA P-256 and ML-DSA-65. Devices: ECDSA P-256. Management: ML-DSA-65, and ECDSA P-256 for
    programs that know no ML-DSA.

    Whoever holds an authority's key can make members of the network: keep it off the agents and off the controller.
    """
    with _reported():
        made = registry.init_authorities(directory, only or list(AUTHORITIES), network=network)
        if as_json:
            found = [{"certificate": str(path), "private_key": str(path.with_suffix(".key"))} for path in made]
            _print_json({"authorities": found})
            return
        for path in made:
            sys.stdout.write(f"{path}\n" + _lines(registry.describe(path)[0]))


@app.command()
def request(
    stem: Annotated[Path, typer.Argument(help="Writes STEM.key, which stays here, and STEM.csr, which travels.")],
    profile: ProfileOption,
    identity: Annotated[str, typer.Option("--id", help="Id of the node, SAE, device, controller or person.")],
    host: Annotated[list[str] | None, typer.Option(help="DNS name or IP address under which it is reached.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a private key (0600) and a request for its certificate."""
    with _reported():
        key, csr = registry.write_request(stem, profile_named(profile), identity, host or [])
        if as_json:
            _print_json({"private_key": str(key), "request": str(csr)})
            return
        sys.stdout.write(f"{key}  keep it here, show it to nobody\n{csr}  take this to the authority\n")


@app.command()
def sign(
    csr: Annotated[Path, typer.Argument(help="The signing request.")],
    profile: ProfileOption,
    ca: Annotated[Path, typer.Option(help="Directory of the authorities.")],
    out: Annotated[Path | None, typer.Option(help="The certificate (default: beside the request, .pem).")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=3650, help="How long it is valid.")] = CERTIFICATE_DAYS,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a request asks for, ask whether that is right, and issue the certificate."""
    with _reported():
        chosen = profile_named(profile)
        wanted = registry.read_request(csr, chosen)
        authority = registry.load_authority(ca, chosen)
        shown = {
            "profile": f"{chosen.name} ({chosen.for_what})",
            **registry.describe_request(wanted.csr),
            "authority": authority.certificate.subject.rfc4514_string(),
            "days": str(days),
        }
        sys.stderr.write("To be signed:\n" + _lines(shown))
        if not yes:
            _ask()
        certificate = authority.sign(wanted, days=days)
        target = out or csr.with_suffix(".pem")
        write_certificate(target, certificate)
        if as_json:
            facts = registry.describe_certificate(certificate, datetime.datetime.now(datetime.UTC))
            _print_json({"certificate": str(target), **facts})
            return
        sys.stdout.write(f"{target}\n")


def _ask() -> None:
    """Ask on the terminal.

    Raises:
        ConfigurationError: there is no terminal, or the answer is not yes.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody to ask whether this is right: look at it and say --yes")
    sys.stderr.write("Sign this? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigurationError("not signed")


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="PEM file of certificates or of a signing request.")],
    as_json: JsonOption = False,
) -> None:
    """Show whom certificates or a request name, what they are for and until when."""
    with _reported():
        found = registry.describe(file)
        if as_json:
            _print_json({"file": str(file), "entries": found})
            return
        for entries in found:
            sys.stdout.write(f"{file}\n" + _lines(entries))
