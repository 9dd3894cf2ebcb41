"""The northbound interface: REST over mutual TLS for operators, who write, and auditors, who read.

Who calls is what the certificate says: `urn:quiver:operator:ID` or `urn:quiver:auditor:ID`. The resources are described in
`openapi.json` beside this file, which is served too. Errors are problem details (RFC 9457). What an operator can write has an
entity tag, and `If-Match` and `If-None-Match` are heeded.
"""

from collections.abc import Awaitable, Callable, Mapping
from importlib import resources as package
from typing import Final
from urllib.parse import quote

import msgspec
import structlog

from quiver.controller.calls import PREFIX, Call
from quiver.controller.config_tables import DemandTable
from quiver.controller.desk import Desk, Expected, tag_of
from quiver.controller.endpoints import AgentTable
from quiver.controller.engine import Engine
from quiver.controller.live_feed import LiveFeed
from quiver.controller.problems import problem
from quiver.controller.resources import Page, Resources
from quiver.domain import limits
from quiver.domain.errors import ConflictError, NotFoundError, QuiverError, RequestError
from quiver.domain.sdn.records import What
from quiver.net.config_file import Table
from quiver.net.http_exchange import JSON, HttpAnswer, HttpRequest, HttpStream, answer_for
from quiver.net.http_server import HttpServer
from quiver.net.tls import TlsContext

__all__ = ["Northbound"]

_log = structlog.get_logger("quiver.controller.northbound")
_ANY: Final = "*"
_EVENTS: Final = "text/event-stream"
_NEW: Final = Expected(none_match="*")  # somebody else may have been faster

Answer = HttpAnswer | HttpStream
Handler = Callable[[Call], Awaitable[Answer]]


class DrainTable(Table, frozen=True, kw_only=True):
    """What is to be drained."""

    what: What
    name: str


class Northbound:
    """The listener for operators and auditors.

    Args:
        engine: of the controller.
        desk: where orders go.
        resources: what is shown.
        feed: the live state.
        host: address to listen on, IPv4 or IPv6.
        port: 0 for any free one.
        tls: of `net.tls.northbound_server`.
    """

    def __init__(
        self,
        engine: Engine,
        desk: Desk,
        resources: Resources,
        feed: LiveFeed,
        *,
        host: str,
        port: int = 0,
        tls: TlsContext,
    ) -> None:
        self._engine: Final = engine
        self._desk: Final = desk
        self._resources: Final = resources
        self._feed: Final = feed
        self._openapi: Final = package.files("quiver.controller").joinpath("openapi.json").read_bytes()
        self._routes: Final[dict[tuple[str, ...], dict[str, Handler]]] = {
            ("openapi.json",): {"GET": self._description},
            ("network",): {"GET": self._network},
            ("nodes",): {"GET": self._collection(resources.nodes)},
            ("nodes", _ANY): {"GET": self._entry("node", resources.nodes)},
            ("links",): {"GET": self._collection(resources.links)},
            ("links", _ANY): {"GET": self._entry("link", resources.links)},
            ("paths",): {"GET": self._collection(resources.paths)},
            ("paths", _ANY, _ANY): {"GET": self._entry("path", resources.paths)},
            ("demands",): {"GET": self._collection(resources.demands), "POST": self._new_demand},
            ("demands", _ANY): {"GET": self._demand, "PUT": self._put_demand, "DELETE": self._remove_demand},
            ("agents",): {"GET": self._collection(resources.agents), "POST": self._new_agent},
            ("agents", _ANY): {"GET": self._agent, "PUT": self._put_agent, "DELETE": self._remove_agent},
            ("drains",): {"GET": self._collection(resources.drains), "POST": self._drain},
            ("drains", _ANY, _ANY): {
                "GET": self._entry("drain", resources.drains),
                "DELETE": self._undrain,
            },
            ("alarms",): {"GET": self._alarms},
            ("history",): {"GET": self._history},
            ("allocation",): {"GET": self._allocation},
            ("events",): {"GET": self._events},
        }
        self.server: Final = HttpServer(
            self.answer,
            plane="northbound",
            host=host,
            port=port,
            tls=tls,
            body_limit=limits.NORTHBOUND_BODY,
            connections=limits.NORTHBOUND_CONNECTIONS,
            form=problem,
        )

    # --- requests -------------------------------------------------------------------------------------------------

    async def answer(self, request: HttpRequest) -> Answer:
        """The answer to one request; every error of the tree becomes one."""
        who = str(request.facts.names) if request.facts is not None else "nobody"
        try:
            call = Call(request)
            handlers = self._found(call.segments)
            if not handlers:
                raise NotFoundError(f"no such resource; {PREFIX}openapi.json describes those that there are")
            if call.verb not in handlers:
                allowed = ", ".join(handlers)
                return problem(405, f"only {allowed} can be done here", {"Allow": allowed})
            return await handlers[call.verb](call)
        except QuiverError as error:
            answer = answer_for(error, problem)
            _log.info("request refused", caller=who, status=answer.status, reason=error.message)
            return answer

    def _found(self, segments: tuple[str, ...]) -> dict[str, Handler]:
        if segments in self._routes:
            return self._routes[segments]
        return self._routes.get((segments[0], *(_ANY for _ in segments[1:])), {}) if segments else {}

    # --- reading --------------------------------------------------------------------------------------------------

    def _collection(self, read: Callable[[], Mapping[str, object]]) -> Handler:
        async def handle(call: Call) -> Answer:
            call.only(("after", "limit"))
            most = call.number("limit", 1, limits.NORTHBOUND_PAGE) or limits.NORTHBOUND_PAGE
            after = call.query.get("after", "")
            found = sorted(item for item in read().items() if item[0] > after)
            page = Page(items=[row for _, row in found[:most]], next=found[most - 1][0] if len(found) > most else None)
            return _json(page)

        return handle

    def _entry(self, kind: str, read: Callable[[], Mapping[str, object]]) -> Handler:
        async def handle(call: Call) -> Answer:
            call.only(())
            key = "/".join(call.segments[1:])
            found = read().get(key)
            if found is None:
                raise NotFoundError(f"there is no {kind} {key}")
            return _json(found)

        return handle

    async def _description(self, call: Call) -> Answer:
        call.only(())
        return HttpAnswer(body=self._openapi)

    async def _network(self, call: Call) -> Answer:
        call.only(())
        return _json(self._resources.network())

    async def _alarms(self, call: Call) -> Answer:
        call.only(())
        return _json(Page(items=list(self._resources.alarms())))

    async def _allocation(self, call: Call) -> Answer:
        call.only(())
        return _json(self._resources.allocation())

    async def _history(self, call: Call) -> Answer:
        call.only(("after", "before", "limit"))
        after, before = call.number("after"), call.number("before", 1)
        if after is not None and before is not None:
            raise RequestError("after and before: one of them, not both")
        most = call.number("limit", 1, limits.HISTORY_PAGE) or limits.HISTORY_PAGE
        return _json(Page(items=list(await self._engine.history(after=after, before=before, most=most))))

    async def _events(self, call: Call) -> Answer:
        call.only(("after",))
        return HttpStream(await self._feed.follow(call.last_event), _EVENTS, {"X-Accel-Buffering": "no"})

    # --- demands --------------------------------------------------------------------------------------------------

    async def _demand(self, call: Call) -> Answer:
        call.only(())
        found = self._resources.demands().get(call.segments[1])
        if found is None:
            raise NotFoundError(f"there is no demand {call.segments[1]}")
        return _json(found, headers={"ETag": tag_of(found.demand)})

    async def _new_demand(self, call: Call) -> Answer:
        table = call.body(DemandTable)
        if table.name in self._resources.demands():
            raise ConflictError(f"demand {table.name} is there already; PUT changes it")
        return await self._store_demand(call, table, _NEW)

    async def _put_demand(self, call: Call) -> Answer:
        return await self._store_demand(call, call.body(DemandTable, name=call.segments[1]), call.expected)

    async def _store_demand(self, call: Call, table: DemandTable, expected: Expected) -> Answer:
        call.only(())
        demand, new = await self._desk.put_demand(call.who, table, expected)
        return _written(demand, new=new, place=("demands", demand.name))

    async def _remove_demand(self, call: Call) -> Answer:
        call.only(())
        await self._desk.remove_demand(call.who, call.segments[1], call.expected)
        return HttpAnswer(204)

    # --- agents ---------------------------------------------------------------------------------------------------

    async def _agent(self, call: Call) -> Answer:
        call.only(())
        found = self._resources.agents().get(call.segments[1])
        if found is None:
            raise NotFoundError(f"there is no agent {call.segments[1]}")
        return _json(found, headers={"ETag": tag_of(found.agent)})

    async def _new_agent(self, call: Call) -> Answer:
        agent = call.body(AgentTable)
        if agent.id in self._resources.agents():
            raise ConflictError(f"agent {agent.id} is there already; PUT changes it")
        return await self._store_agent(call, agent, _NEW)

    async def _put_agent(self, call: Call) -> Answer:
        return await self._store_agent(call, call.body(AgentTable, id=call.segments[1]), call.expected)

    async def _store_agent(self, call: Call, agent: AgentTable, expected: Expected) -> Answer:
        call.only(())
        new = await self._desk.put_agent(call.who, agent, expected)
        return _written(agent, new=new, place=("agents", agent.id))

    async def _remove_agent(self, call: Call) -> Answer:
        call.only(())
        await self._desk.remove_agent(call.who, call.segments[1], call.expected)
        return HttpAnswer(204)

    # --- drains ---------------------------------------------------------------------------------------------------

    async def _drain(self, call: Call) -> Answer:
        call.only(())
        wanted = call.body(DrainTable)
        new = await self._desk.drain(call.who, wanted.what, wanted.name)
        return _written(wanted, new=new, place=("drains", wanted.what.value, wanted.name))

    async def _undrain(self, call: Call) -> Answer:
        call.only(())
        what, name = call.segments[1:]
        if what not in set(What):
            raise NotFoundError(f"there are no drains of {what}; of {' and '.join(What)} there are")
        await self._desk.undrain(call.who, What(what), name)
        return HttpAnswer(204)


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    return HttpAnswer(status, msgspec.json.encode(body, enc_hook=str), JSON, headers=headers or {})


def _written(body: object, *, new: bool, place: tuple[str, ...]) -> HttpAnswer:
    """201 with the place of what is new, 200 for what was there (RFC 9110 section 9.3.4)."""
    headers = {"ETag": tag_of(body)}
    if new:
        headers["Location"] = PREFIX + "/".join(quote(part, safe="") for part in place)
    return _json(body, 201 if new else 200, headers)
