"""The SAE's library against a real plane, and against KMEs that answer nonsense."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from quiver.client import KmeClient, Timeouts
from quiver.domain import limits
from quiver.domain.errors import (
    ConfigurationError,
    ExhaustedError,
    KeyNotFoundError,
    QuiverError,
    RemoteError,
    RequestError,
    UnauthorizedError,
    UnavailableError,
)
from quiver.identity.lab import Lab
from quiver.net import tls
from quiver.net.http_client import CallError, CallFailure
from quiver.net.http_exchange import HttpAnswer, HttpRequest
from quiver.net.http_server import HttpServer
from tests.agent.plane import MASTER, OTHER, SLAVE, Running, Shelf, key_bytes, kme_context, nth_key_id, running

KEY = base64.b64encode(bytes(range(32))).decode()
Call = Callable[[KmeClient], Awaitable[Any]]


def ask(plane: Running, identity: str, call: Call, *, pq: bool = False, **options: Any) -> Any:
    async def main() -> Any:
        async with KmeClient(plane.url, plane.files(identity, pq=pq), plane.lab.saes_trust, **options) as kme:
            return await call(kme)

    return asyncio.run(main())


@pytest.mark.parametrize("pq", [False, True], ids=["classical", "post-quantum"])
def test_both_kinds_of_sae_share_keys_over_one_port(plane: Running, pq: bool) -> None:
    got = ask(plane, MASTER, lambda kme: kme.get_keys(SLAVE, 3, 512), pq=pq)
    assert [key.key.reveal() for key in got] == [key_bytes(i, 64) for i in range(3)]
    ids = [got[2].key_id.upper(), got[0].key_id]
    fetched = ask(plane, SLAVE, lambda kme: kme.get_keys_by_id(MASTER, ids), pq=not pq)
    assert fetched == [got[2], got[0]]


def test_status_is_the_kmes(plane: Running) -> None:
    status = ask(plane, MASTER, lambda kme: kme.status(SLAVE))
    assert (status.master_sae_id, status.slave_sae_id, status.stored_key_count) == (MASTER, SLAVE, 812)


def test_additional_slaves_and_extensions_reach_the_kme(plane: Running) -> None:
    ask(plane, MASTER, lambda kme: kme.get_keys(SLAVE, additional_slaves=[OTHER], optional=[{"acme_age": 1}]))
    assert plane.service.calls == [("enc_keys", MASTER, (SLAVE, OTHER), 1, 256)]
    with pytest.raises(RequestError, match="extension_mandatory parameters") as caught:
        ask(plane, MASTER, lambda kme: kme.get_keys(SLAVE, mandatory=[{"acme_route": "direct"}]))
    assert caught.value.details == {"extension_mandatory_unsupported": "acme_route is not supported"}


def test_a_refusal_is_the_exception_that_the_kme_raised(plane: Running) -> None:
    with pytest.raises(UnauthorizedError, match="may not share"):
        ask(plane, OTHER, lambda kme: kme.get_keys(SLAVE))
    with pytest.raises(RequestError, match="SAE nobody is unknown"):
        ask(plane, MASTER, lambda kme: kme.status("nobody"))
    with pytest.raises(RequestError, match="size shall be a multiple of 8"):
        ask(plane, MASTER, lambda kme: kme.get_keys(SLAVE, 1, 129))
    with pytest.raises(KeyNotFoundError) as caught:
        ask(plane, SLAVE, lambda kme: kme.get_keys_by_id(MASTER, [nth_key_id(9)]))
    assert caught.value.details == {"key_ID": nth_key_id(9)}


def test_a_dry_kme_is_unavailable(lab: Lab) -> None:
    shelf = Shelf(error=ExhaustedError("no key within 2 s"))
    with running(lab, shelf) as plane, pytest.raises(UnavailableError, match="no key within 2 s"):
        ask(plane, MASTER, lambda kme: kme.get_keys(SLAVE))


def test_the_kme_may_be_expected_by_its_id(plane: Running) -> None:
    ask(plane, MASTER, lambda kme: kme.status(SLAVE), server_name=tls.quiver_uri("kme", "kme-a"))
    with pytest.raises(CallError, match="wrong name: expected urn:quiver:kme:kme-b") as caught:
        ask(plane, MASTER, lambda kme: kme.status(SLAVE), server_name=tls.quiver_uri("kme", "kme-b"))
    assert caught.value.failure is CallFailure.TLS


def test_a_kme_of_another_network_gets_no_request(plane: Running, tmp_path_factory: pytest.TempPathFactory) -> None:
    stranger = Lab(tmp_path_factory.mktemp("stranger"))

    async def main() -> None:
        async with KmeClient(plane.url, plane.files(MASTER), stranger.saes_trust) as kme:
            await kme.get_keys(SLAVE)

    with pytest.raises(CallError, match="other CA"):
        asyncio.run(main())
    assert plane.service.calls == []


def test_urls_and_files_are_checked_first(lab: Lab, plane: Running) -> None:
    files = plane.files(MASTER)
    for url in ("http://127.0.0.1:1", "https://", "127.0.0.1:443", "https://a/b", "https://a:x", "https://a?b=c"):
        with pytest.raises(ConfigurationError, match="KME"):
            KmeClient(url, files, lab.saes_trust)
    with pytest.raises(ConfigurationError, match="nowhere"):
        KmeClient(plane.url, tls.Credentials(lab.directory / "nowhere.pem", files.private_key), lab.saes_trust)


def container(*ids: str, key: str = KEY) -> bytes:
    return json.dumps({"keys": [{"key_ID": one, "key": key} for one in ids]}).encode()


ONE, TWO = nth_key_id(1), nth_key_id(2)


def get(kme: KmeClient) -> Awaitable[Any]:
    return kme.get_keys(SLAVE, 2, 256)


def fetch(kme: KmeClient) -> Awaitable[Any]:
    return kme.get_keys_by_id(MASTER, [ONE, TWO])


def against(lab: Lab, answer: HttpAnswer, call: Call, **options: Any) -> Any:
    """The outcome of a call to a KME that answers just so."""

    async def give(request: HttpRequest) -> HttpAnswer:
        del request
        if answer.status == 0:
            await asyncio.Event().wait()
        return answer

    async def main() -> Any:
        server = HttpServer(give, plane="SAE", host="127.0.0.1", tls=kme_context(lab), body_limit=1000)
        await server.start()
        try:
            pair = tls.Credentials(lab.directory / "sae-x.pem", lab.directory / "sae-x.key")
            pair = pair if pair.certificate.exists() else lab.issue("sae", "x")
            async with KmeClient(server.url, pair, lab.saes_trust, **options) as kme:
                return await call(kme)
        finally:
            await server.stop()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "call"),
    [
        (b"", get),
        (b"<html>", get),
        (b'{"keys":[]}', get),
        (container(ONE), get),
        (container(ONE, ONE), get),
        (container(ONE, TWO, key="AAAA"), get),
        (container(ONE), fetch),
        (container(ONE, nth_key_id(3)), fetch),
        (container(ONE, TWO, TWO), fetch),
        (b"{}", lambda kme: kme.status(SLAVE)),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(body: bytes, call: Call, lab: Lab) -> None:
    with pytest.raises(RemoteError, match="the KME's answer to") as caught:
        against(lab, HttpAnswer(body=body), call)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (HttpAnswer(400, b"oh"), RequestError, "HTTP status 400 without a reason"),
        (HttpAnswer(401, b'{"message":"no\\u001b[31m"}'), UnauthorizedError, "no [31m"),
        (HttpAnswer(502, b"<html>"), RemoteError, "enc_keys: HTTP status 502"),
        (HttpAnswer(302, b"", headers={"Location": "https://example.org/"}), RemoteError, "HTTP status 302"),
        (HttpAnswer(200, b"x" * (5 << 20)), CallError, "the answer is too long"),
    ],
)
def test_other_answers_are_told_apart(answer: HttpAnswer, kind: type[QuiverError], message: str, lab: Lab) -> None:
    with pytest.raises(kind) as caught:
        against(lab, answer, get)
    assert message in caught.value.message


def test_a_silent_kme_is_given_up(lab: Lab) -> None:
    with pytest.raises(CallError, match="no answer in time"):
        against(lab, HttpAnswer(0), get, timeouts=Timeouts(total=0.2))


def test_nobody_there_is_said_so(lab: Lab, plane: Running) -> None:
    async def main() -> None:
        async with KmeClient("https://127.0.0.1:1", plane.files(MASTER), lab.saes_trust) as kme:
            await kme.status(SLAVE)

    with pytest.raises(CallError, match=r"unreachable: .*[Rr]efused"):
        asyncio.run(main())


def test_connections_are_given_up_when_they_are_as_old_as_any_may_get(
    plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def three(kme: KmeClient) -> None:
        await kme.status(SLAVE)
        await kme.status(SLAVE)
        monkeypatch.setattr(limits, "CONNECTION_AGE", 0.0)
        await kme.status(SLAVE)

    with capture_logs() as logs:
        ask(plane, MASTER, three)
    assert [line["event"] for line in logs if line["peer"] == f"sae {MASTER}"].count("handshake done") == 2
