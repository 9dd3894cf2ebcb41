"""What an SAE meets at its KME: ETSI GS QKD 014 over real TLS, asked by clients that are not ours."""

import asyncio
import base64
import http.client
import json
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from etsi_qkd_014_client import QKD014Client  # type: ignore[import-untyped,unused-ignore]
from structlog.testing import capture_logs

from quiver.agent.sae_plane import REQUEST_LIMITS
from quiver.domain import limits
from quiver.domain.errors import ExhaustedError, StorageError
from quiver.identity.lab import Lab
from quiver.net import tls
from tests.agent.plane import MASTER, OTHER, SLAVE, Running, Shelf, key_bytes, nth_key_id, running
from tests.qkd.pki import Authority

QUOTED = MASTER.replace(" ", "%20").replace("/", "%2F")
ENC = f"/api/v1/keys/{SLAVE}/enc_keys"
DEC = f"/api/v1/keys/{QUOTED}/dec_keys"
STATUS = f"/api/v1/keys/{SLAVE}/status"
UNKNOWN_KEY = "6f1c2b7e-54a4-4a53-9d5a-0a3a1c7f9a10"
NOT_FOUND = "one or more keys specified are not found on KME"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def plane(lab: Lab) -> Iterator[Running]:
    with running(lab) as started:
        yield started


class Caller:
    """An SAE with the standard library's TLS, which is classical."""

    def __init__(self, plane: Running, identity: str, *files: Path) -> None:
        context = ssl.create_default_context(cafile=str(plane.lab.saes_trust[0]))
        pair = plane.files(identity) if not files else None
        context.load_cert_chain(*(files if pair is None else (pair.certificate, pair.private_key)))
        self._connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context, timeout=20)

    def ask(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and decoded JSON; `self.headers` has the answer's header."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers = {"Content-Type": "application/json"} | headers
        self._connection.request(verb, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = self._connection.getresponse()
        self.headers = answer.headers
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()


def key_ids(*ids: str) -> dict[str, Any]:
    return {"key_IDs": [{"key_ID": one} for one in ids]}


def test_a_master_gets_keys_and_the_slave_the_same_ones_once(plane: Running) -> None:
    with Caller(plane, MASTER) as master, Caller(plane, SLAVE) as slave:
        status, got = master.ask("POST", ENC, {"number": 3, "size": 128})
        assert status == 200
        assert set(got) == {"keys"}
        assert [set(key) for key in got["keys"]] == [{"key_ID", "key"}] * 3
        assert [base64.b64decode(key["key"]) for key in got["keys"]] == [key_bytes(i, 16) for i in range(3)]
        ids = [key["key_ID"] for key in got["keys"]]
        assert slave.ask("POST", DEC, key_ids(ids[2], ids[0])) == (200, {"keys": [got["keys"][2], got["keys"][0]]})
        assert slave.ask("POST", DEC, key_ids(ids[1], ids[0])) == (
            400,
            {"message": NOT_FOUND, "details": [{"key_ID": ids[0]}]},
        )
        assert slave.ask("GET", f"{DEC}?key_ID={ids[1].upper()}") == (200, {"keys": [got["keys"][1]]})


def test_a_get_carries_number_and_size_and_nothing_means_one_key_of_the_default_size(plane: Running) -> None:
    with Caller(plane, MASTER) as master:
        for verb, path, body in (("GET", ENC, None), ("POST", ENC, b""), ("POST", ENC, {})):
            status, got = master.ask(verb, path, body)
            assert (status, [len(base64.b64decode(key["key"])) for key in got["keys"]]) == (200, [32])
        status, got = master.ask("GET", f"{ENC}?number=2&size=64")
        assert (status, [len(base64.b64decode(key["key"])) for key in got["keys"]]) == (200, [8, 8])


def test_status_says_whom_it_is_about_and_what_may_be_asked(plane: Running) -> None:
    with Caller(plane, MASTER) as master:
        status, got = master.ask("GET", STATUS)
    assert status == 200
    assert got == {
        "source_KME_ID": "kme-a",
        "target_KME_ID": "kme-b",
        "master_SAE_ID": MASTER,
        "slave_SAE_ID": SLAVE,
        "key_size": 256,
        "stored_key_count": 812,
        "max_key_count": 10_000,
        "max_key_per_request": 128,
        "max_key_size": 65_536,
        "min_key_size": 64,
        "max_SAE_ID_count": 15,
    }


def test_additional_slaves_come_after_the_one_in_the_path(plane: Running) -> None:
    with Caller(plane, MASTER) as master:
        assert master.ask("POST", ENC, {"additional_slave_SAE_IDs": [OTHER]})[0] == 200
        assert plane.service.calls[-1] == ("enc_keys", MASTER, (SLAVE, OTHER), 1, 256)
        status, error = master.ask("POST", ENC, {"additional_slave_SAE_IDs": [SLAVE]})
        assert status == 400
        assert "additional_slave_SAE_IDs" in error["message"]


TOO_MANY = {"key_IDs": [{"key_ID": str(uuid.UUID(int=i))} for i in range(129)]}


@pytest.mark.parametrize(
    ("verb", "path", "body", "message"),
    [
        ("POST", ENC, {"size": 129}, "size shall be a multiple of 8"),
        ("GET", f"{ENC}?size=129", None, "size shall be a multiple of 8"),
        ("POST", ENC, {"size": 56}, "size shall be 64 to 65536, not 56"),
        ("POST", ENC, {"size": 65_544}, "size shall be 64 to 65536, not 65544"),
        ("POST", ENC, {"number": 0}, "number shall be 1 to 128, not 0"),
        ("POST", ENC, {"number": 129}, "number shall be 1 to 128, not 129"),
        ("POST", ENC, {"number": 128, "size": 8192}, "number × size shall be at most 524288 bits, not 1048576"),
        ("POST", ENC, {"number": "1"}, "number: expected integer, got string"),
        ("POST", ENC, {"nubmer": 1}, "body: object contains unknown field nubmer; allowed are number, size, "),
        ("POST", f"{ENC}?number=1", {}, "a POST has its parameters in the body, none in the query"),
        ("GET", f"{ENC}?number=1&number=2", None, "query parameter number shall occur once"),
        ("GET", f"{ENC}?extension_mandatory=1", None, "query parameter 'extension_mandatory' is unknown"),
        ("POST", ENC, {"extension_mandatory": [{"acme_route": 1}]}, "not all extension_mandatory parameters are sup"),
        ("POST", ENC, {"additional_slave_SAE_IDs": [str(i) for i in range(16)]}, "additional_slave_SAE_IDs shall have"),
        ("POST", ENC, b"{", "the body is not JSON"),
        ("POST", ENC, b"\xff\xfe{}", "the body is not JSON"),
        ("POST", ENC, b'{"extension_optional":[{"a":' + b"[" * 20_000, "the body is nested too deeply"),
        ("GET", ENC, b"{}", "a GET has no body; use POST"),
        ("POST", DEC, {}, "body: object missing required field key_IDs"),
        ("POST", DEC, b"", "the body is not JSON"),
        ("POST", DEC, {"key_IDs": []}, "key_IDs shall have 1 to 128 entries, not 0"),
        ("POST", DEC, {"key_IDs": [UNKNOWN_KEY]}, "key_IDs[0]: expected object, got string"),
        ("POST", DEC, TOO_MANY, "key_IDs shall have 1 to 128 entries, not 129"),
        ("POST", DEC, key_ids("no-uuid"), "key_IDs[0].key_ID shall be a UUID"),
        ("POST", DEC, key_ids(UNKNOWN_KEY, UNKNOWN_KEY.upper()), "key_IDs shall not name a key twice"),
        ("POST", DEC, key_ids(UNKNOWN_KEY), NOT_FOUND),
        ("GET", DEC, None, "query parameter key_ID is missing"),
        ("GET", f"{STATUS}?a=1", None, "Get status has no parameters"),
        ("GET", "/api/v1/keys/%FF/status", None, "SAE_ID in the path shall be percent-encoded UTF-8"),
        ("GET", "/api/v1/keys/nobody/status", None, "SAE nobody is unknown"),
    ],
)
def test_a_wrong_request_is_400_with_words_and_takes_nothing(
    verb: str, path: str, body: Any, message: str, plane: Running
) -> None:
    with Caller(plane, MASTER) as master:
        status, error = master.ask(verb, path, body)
        assert status == 400
        assert error["message"].startswith(message)
        assert set(error) <= {"message", "details"}
        _, got = master.ask("GET", ENC)
    assert got["keys"][0]["key_ID"] == nth_key_id(0), "the first key is still there"


def test_an_unsupported_extension_is_named_as_the_standard_does(plane: Running) -> None:
    with Caller(plane, MASTER) as master:
        asked = {"extension_mandatory": [{"acme_route": "direct"}], "extension_optional": [{"acme_age": 1}]}
        assert master.ask("POST", ENC, asked) == (
            400,
            {
                "message": "not all extension_mandatory parameters are supported",
                "details": [{"extension_mandatory_unsupported": "acme_route is not supported"}],
            },
        )
        assert master.ask("POST", ENC, {"extension_optional": [{"acme_age": 1}]})[0] == 200


def test_a_body_that_is_not_said_to_be_json_is_400(plane: Running) -> None:
    with Caller(plane, MASTER) as master:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"):
            status, error = master.ask("POST", ENC, {}, Content_Type=kind)
            assert (status, error["message"].partition(" ")[0].rstrip(":")) == (400, "Content-Type")
        assert master.ask("POST", ENC, {}, Content_Type='Application/JSON; charset="UTF-8"')[0] == 200


def test_other_paths_and_verbs_are_404_and_405_with_an_error_body(plane: Running) -> None:
    with Caller(plane, MASTER) as master:
        for path in ("/", "/api/v1/keys/bob", f"{ENC}/", "/metrics"):
            status, error = master.ask("GET", path)
            assert (status, list(error)) == (404, ["message"])
        for verb, path, allowed in (("POST", STATUS, "GET"), ("PUT", ENC, "GET, POST"), ("DELETE", DEC, "GET, POST")):
            status, error = master.ask(verb, path)
            assert (status, master.headers["Allow"], list(error)) == (405, allowed, ["message"])


def test_a_body_above_the_limit_is_413(plane: Running) -> None:
    with Caller(plane, MASTER) as master:
        status, error = master.ask("POST", ENC, b" " * (limits.SAE_BODY + 1))
        assert (status, list(error)) == (413, ["message"])


def test_who_may_not_is_401_and_a_slave_never_gets_anothers_key(plane: Running) -> None:
    with Caller(plane, MASTER) as master, Caller(plane, OTHER) as other:
        assert master.ask("GET", "/api/v1/keys/dave/enc_keys")[0] == 401
        _, got = master.ask("GET", ENC)
        one = got["keys"][0]["key_ID"]
        assert other.ask("POST", DEC, key_ids(one))[0] == 401
        assert master.ask("POST", DEC, key_ids(one))[0] == 401


def test_identity_comes_from_the_certificate_and_never_from_a_header(plane: Running) -> None:
    with Caller(plane, OTHER) as other:
        forged = {"X_SAE_ID": MASTER, "X_Forwarded_For": MASTER, "SSL_Client_DN": f"CN={MASTER}", "Authorization": "x"}
        status, error = other.ask("GET", ENC, **forged)
        assert (status, error) == (401, {"message": f"SAE {OTHER} may not share keys with {SLAVE}"})


def test_a_foreign_certificate_is_known_by_its_common_name(lab: Lab, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "foreign")
    with running(lab, trust=(*lab.saes_trust, authority.certificate)) as plane:
        with Caller(plane, "", *authority.issue(SLAVE)) as foreign:
            assert foreign.ask("GET", f"/api/v1/keys/{QUOTED}/status")[1]["master_SAE_ID"] == SLAVE
        with Caller(plane, "", *authority.issue("..")) as nobody:
            status, error = nobody.ask("GET", STATUS)
            assert (status, error["message"]) == (401, "the certificate names no SAE: its common name is none")


@pytest.mark.parametrize("error", [ExhaustedError("no key within 2 s"), StorageError("the key database is full")])
def test_503_says_when_to_come_back(error: Exception, lab: Lab) -> None:
    with running(lab, Shelf(error=error)) as plane, Caller(plane, MASTER) as master:
        for verb, path, body in (("GET", STATUS, None), ("GET", ENC, None), ("POST", DEC, key_ids(UNKNOWN_KEY))):
            assert master.ask(verb, path, body) == (503, {"message": str(error)})
            assert master.headers["Retry-After"] == "1"


def test_what_nobody_foresaw_is_503_and_leaks_nothing(lab: Lab) -> None:
    shelf = Shelf(error=ValueError("key c0ffee"))
    with capture_logs() as logs, running(lab, shelf) as plane, Caller(plane, MASTER) as master:
        assert master.ask("GET", ENC) == (503, {"message": "the server failed; nothing was promised"})
    assert "c0ffee" not in str(logs)
    assert any(log["event"] == "request failed" and "ValueError at plane.py" in log["exception"] for log in logs)


def test_no_key_and_no_key_id_is_ever_logged(lab: Lab) -> None:
    with capture_logs() as logs, running(lab) as plane, Caller(plane, MASTER) as master, Caller(plane, SLAVE) as slave:
        _, got = master.ask("POST", ENC, {"number": 2})
        ids = [key["key_ID"] for key in got["keys"]]
        for _ in range(2):
            slave.ask("POST", DEC, key_ids(*ids))
            slave.ask("GET", f"{DEC}?key_ID={ids[0]}")
        assert master.headers["Cache-Control"] == "no-store"
    said = str(logs)
    assert "keys given" in said
    assert not any(key["key"][:12] in said or key["key_ID"] in said for key in got["keys"])


def test_a_caller_that_goes_away_while_it_waits_cancels_its_request(lab: Lab) -> None:
    shelf = Shelf(held=asyncio.Event())
    with running(lab, shelf) as plane:
        master = Caller(plane, MASTER)
        master._connection.request("GET", ENC)
        assert shelf.waiting.wait(20)
        master.close()
        assert shelf.cancelled.wait(20)


def test_a_foreign_client_gets_status_keys_and_errors(plane: Running) -> None:
    def client(identity: str) -> QKD014Client:
        pair = plane.files(identity)
        files = (str(pair.certificate), str(pair.private_key), str(lab_ca))
        return QKD014Client(f"127.0.0.1:{plane.port}", *files)

    lab_ca = plane.lab.saes_trust[0]
    master, slave = client(MASTER), client(SLAVE)
    code, status = master.get_status(SLAVE)
    assert (code, status.max_sae_id_count, status.key_size) == (200, REQUEST_LIMITS.max_sae_ids, 256)
    code, keys = master.get_key(SLAVE, 3, 512, additional_slave_sae_ids=[OTHER])
    assert (code, [len(base64.b64decode(key.key)) for key in keys.keys]) == (200, [64] * 3)
    ids = [key.key_id for key in keys.keys]
    code, same = slave.get_key_with_key_IDs(QUOTED, ids)
    assert (code, [key.key for key in same.keys]) == (200, [key.key for key in keys.keys])
    code, error = slave.get_key_with_key_IDs(QUOTED, ids)
    assert (code, error.message) == (400, NOT_FOUND)
    code, error = master.get_key(SLAVE, 1, 129)
    assert (code, error.message) == (400, "size shall be a multiple of 8")


def test_a_post_quantum_sae_is_served_on_the_same_port(plane: Running) -> None:
    context = tls.sae_client(plane.files(MASTER, pq=True), plane.lab.saes_trust)

    async def ask() -> tuple[bytes, tls.PeerFacts | None]:
        reader, writer = await asyncio.open_connection("127.0.0.1", plane.port, ssl=context)
        facts = tls.peer_facts(writer.transport)
        writer.write(f"GET {ENC}?size=512 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer, facts

    answer, facts = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert facts is not None
    assert (facts.group, facts.signature, facts.names.role) == ("X25519MLKEM768", "ML-DSA-65", "kme")
    got = json.loads(answer.partition(b"\r\n\r\n")[2])
    with Caller(plane, SLAVE) as slave:  # classical
        assert slave.ask("POST", DEC, key_ids(got["keys"][0]["key_ID"])) == (200, got)


def test_without_a_certificate_nobody_gets_past_the_handshake(plane: Running) -> None:
    context = ssl.create_default_context(cafile=str(plane.lab.saes_trust[0]))
    connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context, timeout=20)

    def ask() -> None:
        connection.request("GET", STATUS)
        connection.getresponse()

    with pytest.raises(OSError, match=r"certificate required|reset|EOF"):
        ask()
    connection.close()
    assert plane.service.calls == []


@pytest.mark.system
def test_curl_gets_a_key_at_one_side_and_fetches_it_at_the_other(plane: Running) -> None:
    def curl(identity: str, path: str, *more: str) -> tuple[int, Any]:
        pair = plane.files(identity)
        said = subprocess.run(
            [
                *("curl", "-sS", "--cacert", plane.lab.saes_trust[0], "--cert", pair.certificate),
                *("--key", pair.private_key, "-w", "\n%{http_code}", *more, f"{plane.url}{path}"),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        body, _, code = said.rpartition("\n")
        return int(code), json.loads(body)

    code, got = curl(MASTER, f"{ENC}?number=2&size=512")
    assert (code, len(got["keys"])) == (200, 2)
    body = json.dumps(key_ids(*(key["key_ID"] for key in got["keys"])))
    posted = ("-H", "Content-Type: application/json", "-d", body)
    assert curl(SLAVE, DEC, *posted) == (200, got)
    assert curl(SLAVE, DEC, *posted)[0] == 400
    assert curl(MASTER, ENC, "-d", "number=2") == (400, {"message": "Content-Type shall be application/json"})


@pytest.mark.system
def test_openssl_sees_a_classical_certificate_and_a_request_for_its_own(plane: Running) -> None:
    pair = plane.files(MASTER)
    said = subprocess.run(
        [
            *("openssl", "s_client", "-connect", f"127.0.0.1:{plane.port}", "-CAfile", plane.lab.saes_trust[0]),
            *("-cert", pair.certificate, "-key", pair.private_key, "-verify_return_error", "-quiet"),
        ],
        input=f"GET {STATUS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.startswith("HTTP/1.1 200 OK")
    assert '"source_KME_ID":"kme-a"' in said.stdout
    bare = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{plane.port}", "-quiet"],
        input=f"GET {STATUS} HTTP/1.1\r\n\r\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.stdout == ""
    assert "certificate required" in bare.stderr
