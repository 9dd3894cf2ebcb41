"""`quiver pki` as the people of two sites use it: requests travel, keys stay, certificates work."""

import asyncio
import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from quiver.cli.main import app
from quiver.net import tls
from tests.net.wire import visit


def pki(*arguments: object, **options: Any) -> Result:
    return CliRunner().invoke(app, ["pki", *(str(argument) for argument in arguments)], **options)


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    done(pki("init", tmp_path / "ca", "--network", "vienna"))
    return tmp_path / "ca"


def member(directory: Path, ca: Path, profile: str, identity: str, *hosts: str) -> tls.Credentials:
    stem = directory / f"{profile}-{identity}"
    options = [word for host in hosts for word in ("--host", host)]
    done(pki("request", stem, "--profile", profile, "--id", identity, *options))
    done(pki("sign", f"{stem}.csr", "--profile", profile, "--ca", ca, "--yes"))
    return tls.Credentials(Path(f"{stem}.pem"), Path(f"{stem}.key"))


def test_two_nodes_and_an_sae_are_admitted_with_what_the_commands_made(ca: Path, tmp_path: Path) -> None:
    a, b = member(tmp_path, ca, "node", "a"), member(tmp_path, ca, "node", "b")
    trust = ca / "nodes-ca.pem"
    client = tls.peer_client(b, trust).expecting(tls.quiver_uri("node", "a"))
    nodes = visit(asyncio.new_event_loop, tls.peer_server(a, trust), client, None)
    assert nodes.answer == b"welcome", nodes.error
    kme = [member(tmp_path, ca, profile, "kme-a", "localhost") for profile in ("kme", "kme-pq")]
    both = [ca / "saes-ca.pem", ca / "saes-pq-ca.pem"]
    server = tls.sae_server(kme[0], kme[1], both)
    for profile in ("sae", "sae-pq"):
        outcome = visit(asyncio.new_event_loop, server, tls.sae_client(member(tmp_path, ca, profile, "alice"), both))
        assert outcome.answer == b"welcome", outcome.error
        assert outcome.admitted[0] is not None
        assert outcome.admitted[0].names.sae == "alice"


def test_init_says_what_it_made_and_never_overwrites(tmp_path: Path) -> None:
    shown = done(pki("init", tmp_path / "ca", "--only", "nodes", "--network", "vienna"))
    assert "CN=Quiver nodes CA vienna" in shown.stdout
    assert stat.S_IMODE((tmp_path / "ca" / "nodes-ca.key").stat().st_mode) == 0o600
    told = json.loads(done(pki("init", tmp_path / "ca", "--only", "devices", "--json")).stdout)
    assert told == {
        "authorities": [
            {"certificate": f"{tmp_path}/ca/devices-ca.pem", "private_key": f"{tmp_path}/ca/devices-ca.key"}
        ]
    }
    again = pki("init", tmp_path / "ca")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "nodes-ca.pem: exists already; nothing is overwritten" in again.stderr
    assert not (tmp_path / "ca" / "saes-ca.key").exists()
    wrong = pki("init", tmp_path / "ca", "--only", "node")
    assert (wrong.exit_code, wrong.stderr) == (
        1,
        "quiver: authority 'node': allowed are nodes, saes, devices, management\n",
    )


def test_request_and_sign_tell_their_files(ca: Path, tmp_path: Path) -> None:
    told = done(pki("request", tmp_path / "x", "--profile", "sae", "--id", "alice", "--json"))
    assert json.loads(told.stdout) == {"private_key": f"{tmp_path}/x.key", "request": f"{tmp_path}/x.csr"}
    assert stat.S_IMODE((tmp_path / "x.key").stat().st_mode) == 0o600
    signed = done(pki("sign", tmp_path / "x.csr", "--profile", "sae", "--ca", ca, "--yes", "--days", 7, "--json"))
    facts = json.loads(signed.stdout)
    assert (facts["certificate"], facts["role"], facts["id"]) == (f"{tmp_path}/x.pem", "sae", "alice")
    assert facts["issuer"] == "CN=Quiver SAEs CA vienna"
    again = pki("sign", tmp_path / "x.csr", "--profile", "sae", "--ca", ca, "--yes")
    assert again.exit_code == 1
    assert "x.pem: exists already" in again.stderr
    twice = pki("request", tmp_path / "x", "--profile", "sae", "--id", "alice")
    assert (twice.exit_code, twice.stdout) == (1, "")


def test_where_nobody_can_be_asked_nothing_is_signed(ca: Path, tmp_path: Path) -> None:
    done(pki("request", tmp_path / "x", "--profile", "sae", "--id", "alice"))
    refused = pki("sign", tmp_path / "x.csr", "--profile", "sae", "--ca", ca, input="y\n")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "say --yes" in refused.stderr
    assert "alice" in refused.stderr, "what is to be signed is shown"
    assert not (tmp_path / "x.pem").exists()


@pytest.mark.parametrize(("answer", "signed"), [("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False)])
def test_on_a_terminal_it_asks_and_only_yes_is_yes(answer: str, signed: bool, ca: Path, tmp_path: Path) -> None:
    done(pki("request", tmp_path / "x", "--profile", "sae", "--id", "alice"))
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        arguments = ("sign", tmp_path / "x.csr", "--profile", "sae", "--ca", ca)
        said = subprocess.run(
            [sys.executable, "-c", "from quiver.cli.main import app; app()", "pki", *map(str, arguments)],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Sign this? [y/N]" in said.stderr
    assert (said.returncode == 0, (tmp_path / "x.pem").exists()) == (signed, signed)
    assert signed or said.stderr.endswith("quiver: not signed\n")


def test_wrong_requests_and_wrong_authorities_are_one_line(ca: Path, tmp_path: Path) -> None:
    done(pki("request", tmp_path / "x", "--profile", "sae", "--id", "alice"))
    cases = [
        (("sign", tmp_path / "x.csr", "--profile", "node", "--ca", ca), "wants ML-DSA-65"),
        (("sign", tmp_path / "x.csr", "--profile", "kme", "--ca", ca), "it names no kme"),
        (("sign", tmp_path / "x.csr", "--profile", "king", "--ca", ca), "profile 'king': allowed are"),
        (("sign", tmp_path / "x.csr", "--profile", "sae", "--ca", tmp_path), "saes-ca.pem: No such file"),
        (("sign", tmp_path / "x.key", "--profile", "sae", "--ca", ca), "x.key: not a PEM signing request"),
        (("request", tmp_path / "y", "--profile", "sae", "--id", ""), "1 to 128 printable"),
        (("request", tmp_path / "y", "--profile", "kme", "--id", "k", "--host", "*.x"), "host '*.x'"),
        (("show", tmp_path / "none.pem"), "No such file"),
    ]
    for arguments, words in cases:
        more = ("--yes",) if arguments[0] == "sign" else ()
        refused = pki(*arguments, *more)
        assert (refused.exit_code, refused.stdout) == (1, ""), refused.output
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "y.key").exists()
    assert pki("sign", tmp_path / "x.csr").exit_code == 2
    assert pki("sign", tmp_path / "x.csr", "--profile", "sae", "--ca", ca, "--days", 0).exit_code == 2


def test_show_tells_whom_a_file_names_and_never_a_key(ca: Path, tmp_path: Path) -> None:
    files = member(tmp_path, ca, "kme", "kme-a", "127.0.0.1")
    shown = done(pki("show", files.certificate)).stdout
    for words in ("urn:quiver:kme:kme-a", "127.0.0.1", "ECDSA P-256", "valid", "CN=Quiver SAEs CA vienna"):
        assert words in shown
    told = json.loads(done(pki("show", tmp_path / "kme-kme-a.csr", "--json")).stdout)
    assert told["file"] == f"{tmp_path}/kme-kme-a.csr"
    assert (told["entries"][0]["what"], told["entries"][0]["signature_valid"]) == ("signing request", True)
    refused = pki("show", files.private_key)
    assert (refused.exit_code, refused.stdout) == (1, "")
    both = tmp_path / "both.pem"
    both.write_bytes(files.private_key.read_bytes() + files.certificate.read_bytes())
    secret = files.private_key.read_text().splitlines()[1]
    for result in (refused, pki("show", both), pki("show", both, "--json")):
        assert secret not in result.output


@pytest.mark.system
def test_openssl_reads_a_classical_certificate_as_we_mean_it(ca: Path, tmp_path: Path) -> None:
    files = member(tmp_path, ca, "sae", "alice", "127.0.0.1")

    def openssl(*arguments: object) -> str:
        command = ["openssl", *(str(argument) for argument in arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    text = openssl("x509", "-in", files.certificate, "-noout", "-text")
    for words in (
        "Issuer: CN = Quiver SAEs CA vienna",
        "Subject: CN = alice",
        "URI:urn:quiver:sae:alice, IP Address:127.0.0.1",
        "TLS Web Client Authentication",
        "CA:FALSE",
        "NIST CURVE: P-256",
    ):
        assert words in text
    assert "TLS Web Server" not in text
    verified = openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", ca / "saes-ca.pem", files.certificate
    )
    assert verified.endswith(": OK\n")
