"""A controller over a network on paper with its real northbound interface, and clients whose answers are held against OpenAPI."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import resources as package
from pathlib import Path
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator
from yarl import URL

from quiver.controller.config_tables import ManagementTable
from quiver.controller.desk import Desk
from quiver.controller.live_feed import LiveFeed
from quiver.controller.northbound import Northbound
from quiver.controller.resources import Resources
from quiver.domain.sdn.demands import Demand
from quiver.identity.lab import Lab
from quiver.net import tls
from quiver.net.tls import Credentials
from tests.controller.ground import WatchedEngine, running
from tests.controller.paper_network import PaperNetwork

DOCUMENT: dict[str, Any] = json.loads(package.files("quiver.controller").joinpath("openapi.json").read_text())
PREFIX = DOCUMENT["servers"][0]["url"]


def issued(lab: Lab, profile: str, identity: str) -> Credentials:
    """A certificate, made once."""
    stem = lab.directory / f"{profile}-{identity}"
    found = Credentials(stem.with_suffix(".pem"), stem.with_suffix(".key"))
    return found if found.certificate.exists() else lab.issue(profile, identity)


def operation(verb: str, path: str) -> dict[str, Any]:
    """What the document says of a request."""
    for template, item in DOCUMENT["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and verb.lower() in item:
            found: dict[str, Any] = item[verb.lower()]
            return found
    raise AssertionError(f"{verb} {path} is not in the document")


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to."""
    while "$ref" in node:
        found: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def validate(schema: dict[str, Any], value: object) -> None:
    """Hold a value against a schema of the document."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


class Answer:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Caller:
    """One certificate's holder."""

    def __init__(self, url: str, session: aiohttp.ClientSession, context: tls.TlsContext) -> None:
        self.url, self.session, self.context = url, session, context

    async def call(self, verb: str, target: str, body: object = None, **headers: str) -> Answer:
        """Call, and hold the answer against the document."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        where = URL(f"{self.url}{PREFIX}{target}", encoded=True)
        async with self.session.request(verb, where, data=data, headers=sent, ssl=self.context) as found:
            answer = Answer(found.status, found.headers.copy(), await found.read())
        if answer.status not in (404, 405):
            said = resolved(operation(verb, target.partition("?")[0])["responses"][str(answer.status)])
            for kind, media in said.get("content", {}).items():
                assert answer.headers["Content-Type"] == kind
                validate(media["schema"], answer.json)
            for header in said.get("headers", {}):
                assert header in answer.headers
        else:
            validate(DOCUMENT["components"]["schemas"]["Problem"], answer.json)
        return answer

    async def get(self, target: str) -> Any:
        """A resource that is there."""
        answer = await self.call("GET", target)
        assert answer.status == 200, answer.raw
        return answer.json


class North:
    def __init__(self, lab: Lab, network: PaperNetwork, engine: WatchedEngine, url: str, feed: LiveFeed) -> None:
        self.lab, self.network, self.engine, self.url, self.feed = lab, network, engine, url, feed
        self._sessions = AsyncExitStack()

    async def caller(self, profile: str = "operator", identity: str = "anna") -> Caller:
        """Somebody with a certificate of the management authority."""
        context = tls.northbound_client(issued(self.lab, profile, identity), self.lab.management_trust)
        session = await self._sessions.enter_async_context(aiohttp.ClientSession())
        return Caller(self.url, session, context)

    async def close(self) -> None:
        await self._sessions.aclose()


@asynccontextmanager
async def north(
    lab: Lab, state: Path, network: PaperNetwork, *demands: Demand, classical: bool = False, **options: Any
) -> AsyncIterator[North]:
    """A controller with its northbound interface, until the end of the block."""
    table = ManagementTable(certificate=Path("c"), private_key=Path("k"), trust=(Path("t"),))
    async with running(state, network, *demands, **options) as engine:
        resources = Resources(engine, "controller-1")
        feed = LiveFeed(engine, resources)
        own = issued(lab, "northbound", "controller-1")
        second = issued(lab, "northbound-classical", "controller-1") if classical else None
        context = tls.northbound_server(own, lab.management_trust, classical=second)
        plane = Northbound(engine, Desk(engine, table), resources, feed, host="127.0.0.1", tls=context)
        await plane.server.start()
        found = North(lab, network, engine, plane.server.url, feed)
        try:
            yield found
        finally:
            await found.close()
            await plane.server.stop()
