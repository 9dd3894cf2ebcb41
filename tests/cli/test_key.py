"""`quiver key` as an SAE's operator has it: keys go where they are told to, and nowhere else."""

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from quiver.cli.main import app
from quiver.domain.errors import ExhaustedError
from quiver.identity.lab import Lab
from tests.agent.plane import MASTER, OTHER, SLAVE, Running, Shelf, key_bytes, nth_key_id, running


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def plane(lab: Lab) -> Iterator[Running]:
    with running(lab) as started:
        yield started


def key(plane: Running, command: str, *more: object, me: str = MASTER, sae: str = SLAVE, pq: bool = False) -> Result:
    pair = plane.files(me, pq=pq)
    options: list[object] = ["--kme", plane.url, "--cert", pair.certificate, "--key", pair.private_key, "--sae", sae]
    for bundle in plane.lab.saes_trust:
        options += ["--ca", bundle]
    return CliRunner().invoke(app, ["key", command, *(str(one) for one in (*options, *more))])


def said(result: Result) -> list[str]:
    """What the command says on stderr; the plane, which is in this process too, logs there as well."""
    return [line for line in result.stderr.splitlines() if not line.startswith("{")]


@pytest.mark.parametrize("pq", [False, True], ids=["classical", "post-quantum"])
def test_keys_go_from_one_file_to_another_by_their_ids(plane: Running, tmp_path: Path, pq: bool) -> None:
    got = key(plane, "get", "--number", 2, "--size", 512, "--out", tmp_path / "mine", pq=pq)
    assert got.exit_code == 0, got.output
    assert got.stdout.split() == [nth_key_id(0), nth_key_id(1)]
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o600
    fetched = key(plane, "retrieve", *got.stdout.split(), "--out", tmp_path / "yours", me=SLAVE, sae=MASTER, pq=pq)
    assert fetched.exit_code == 0, fetched.output
    assert (tmp_path / "mine").read_bytes() == (tmp_path / "yours").read_bytes()
    entry = json.loads((tmp_path / "mine").read_bytes())["keys"][1]
    assert base64.b64decode(entry["key"]) == key_bytes(1, 64)
    again = key(plane, "retrieve", *got.stdout.split(), "--out", tmp_path / "more", me=SLAVE, sae=MASTER, pq=pq)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "one or more keys specified are not found on KME" in again.stderr
    assert not (tmp_path / "more").exists()


def test_stdout_has_keys_on_request_only(plane: Running, tmp_path: Path) -> None:
    secret = base64.b64encode(key_bytes(0, 32)).decode()
    assert key(plane, "get", "--stdout").stdout == f"{nth_key_id(0)} {secret}\n"
    container = key(plane, "retrieve", nth_key_id(0), "--stdout", "--json", me=SLAVE, sae=MASTER)
    assert json.loads(container.stdout) == {"keys": [{"key_ID": nth_key_id(0), "key": secret}]}
    told = key(plane, "get", "--out", tmp_path / "file", "--json")
    assert json.loads(told.stdout) == {
        "file": str(tmp_path / "file"),
        "keys": [{"key_ID": nth_key_id(1), "size": 256}],
    }


@pytest.mark.parametrize("command", [("get",), ("retrieve", nth_key_id(0))])
def test_without_a_place_for_the_keys_nothing_is_asked(
    command: tuple[str, ...], plane: Running, tmp_path: Path
) -> None:
    for more in ((), ("--stdout", "--out", tmp_path / "file")):
        refused = key(plane, *command, *more)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "--out" in refused.stderr
        assert "--stdout" in refused.stderr
    assert plane.service.calls == []
    assert not (tmp_path / "file").exists()


def test_a_file_that_is_there_or_cannot_be_made_stops_it_before_anything_is_asked(
    plane: Running, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name, words in (("file", "exists already"), ("link", "exists already"), ("no/file", "No such file")):
        refused = key(plane, "get", "--out", tmp_path / name)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert words in refused.stderr
    assert (tmp_path / "file").read_text() == "mine"
    assert plane.service.calls == []


def test_status_in_words_and_as_json(plane: Running) -> None:
    shown = key(plane, "status")
    assert shown.exit_code == 0, shown.output
    assert "stored_key_count      812" in shown.stdout
    assert json.loads(key(plane, "status", "--json").stdout)["slave_SAE_ID"] == SLAVE


def test_a_refusal_is_one_line_and_exit_code_1(plane: Running, lab: Lab) -> None:
    refused = key(plane, "get", "--stdout", "--size", 129)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert said(refused) == ["quiver: size shall be a multiple of 8; size: 129 is no multiple of 8"]
    assert "may not share" in key(plane, "get", "--stdout", me=OTHER).stderr
    assert "wrong name" in key(plane, "get", "--stdout", "--server-name", "urn:quiver:kme:z").stderr
    with running(lab, Shelf(error=ExhaustedError("no key within 2 s"))) as dry:
        assert said(key(dry, "get", "--stdout")) == ["quiver: no key within 2 s"]


def test_wrong_usage_is_exit_code_2() -> None:
    for arguments in (["key", "get"], ["key", "status", "--kme", "https://x"], ["key", "retrieve", "--stdout"]):
        assert CliRunner().invoke(app, arguments).exit_code == 2
