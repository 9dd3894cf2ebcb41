"""Clients of the agent's NETCONF server that were written by different people, behind one set of calls.

`NcclientVisitor` is ncclient with paramiko or with the standard library's TLS; `OwnVisitor` is ours.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Protocol, TypeVar

from lxml import etree
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

from quiver.net.netconf_client import NetconfClient
from quiver.protocols.netconf.errors import RpcError
from quiver.protocols.netconf.requests import operation
from quiver.protocols.netconf.xml import BASE, Element, child, parse

T = TypeVar("T")
PATIENCE = 20.0  # seconds until a test that hangs is called failed


class RefusedError(Exception):
    """What a server said no to, as the client understood it."""

    def __init__(self, tag: str, app_tag: str | None, path: str | None, message: str | None) -> None:
        super().__init__(f"{tag}: {message}")
        self.tag, self.app_tag, self.path, self.message = tag, app_tag, path or "", message or ""


class Visitor(Protocol):
    """A session."""

    session_id: int
    capabilities: set[str]

    def get(self, *filters: Element) -> Element: ...
    def get_config(self, *filters: Element, source: str = "running") -> Element: ...
    def edit(self, config: Element, *, target: str = "running", **options: str) -> None: ...
    def lock(self, target: str) -> None: ...
    def unlock(self, target: str) -> None: ...
    def commit(self, **options: Any) -> None: ...
    def cancel_commit(self, persist_id: str | None = None) -> None: ...
    def discard_changes(self) -> None: ...
    def validate(self, source: str) -> None: ...
    def copy_config(self, source: str, target: str) -> None: ...
    def delete_config(self, target: str) -> None: ...
    def get_schema(self, identifier: str) -> str: ...
    def subscribe(self, start: datetime | None = None, stop: datetime | None = None) -> None: ...
    def notification(self) -> Element: ...
    def kill_session(self, number: int) -> None: ...
    def dispatch(self, request: Element) -> None: ...
    def close(self) -> None: ...


class NcclientVisitor:
    """ncclient.

    Args:
        manager: its session.
    """

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        manager.timeout = PATIENCE
        self.session_id = int(manager.session_id)
        self.capabilities = set(manager.server_capabilities)

    def _ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self.manager, name)(*arguments, **options)
        except RPCError as error:
            path = error.path.strip() if error.path else None
            raise RefusedError(error.tag, error.app_tag, path, error.message) from None

    def get(self, *filters: Element) -> Element:
        return parse(etree.tostring(self._ask("get", filter=_spec(filters)).data_ele))

    def get_config(self, *filters: Element, source: str = "running") -> Element:
        return parse(etree.tostring(self._ask("get_config", source=source, filter=_spec(filters)).data_ele))

    def edit(self, config: Element, *, target: str = "running", **options: str) -> None:
        holder = to_ele(f'<config xmlns="{BASE}">{etree.tostring(config).decode()}</config>')
        self._ask("edit_config", config=holder, target=target, **options)

    def lock(self, target: str) -> None:
        self._ask("lock", target)

    def unlock(self, target: str) -> None:
        self._ask("unlock", target)

    def commit(self, **options: Any) -> None:
        self._ask("commit", **options)

    def cancel_commit(self, persist_id: str | None = None) -> None:
        self._ask("cancel_commit", persist_id)

    def discard_changes(self) -> None:
        self._ask("discard_changes")

    def validate(self, source: str) -> None:
        self._ask("validate", source)

    def copy_config(self, source: str, target: str) -> None:
        self._ask("copy_config", source, target)

    def delete_config(self, target: str) -> None:
        self._ask("delete_config", target)

    def get_schema(self, identifier: str) -> str:
        return str(self._ask("get_schema", identifier).data)

    def subscribe(self, start: datetime | None = None, stop: datetime | None = None) -> None:
        times = {"start_time": start and start.isoformat(), "stop_time": stop and stop.isoformat()}
        self._ask("create_subscription", **times)

    def notification(self) -> Element:
        taken = self.manager.take_notification(timeout=PATIENCE)
        assert taken is not None
        return parse(etree.tostring(taken.notification_ele))[1]

    def kill_session(self, number: int) -> None:
        self._ask("kill_session", str(number))

    def dispatch(self, request: Element) -> None:
        self._ask("dispatch", to_ele(etree.tostring(request).decode()))

    def close(self) -> None:
        if self.manager.connected:
            self.manager.close_session()


def _spec(filters: tuple[Element, ...]) -> Any:
    """ncclient takes a whole `filter` element; several subtrees it takes in no other way."""
    if not filters:
        return None
    inside = "".join(etree.tostring(each).decode() for each in filters)
    return to_ele(f'<filter xmlns="{BASE}" type="subtree">{inside}</filter>')


class OwnVisitor:
    """Our own client, whose loop runs while a call does.

    Args:
        runner: of the loop.
        client: its session.
    """

    def __init__(self, runner: asyncio.Runner, client: NetconfClient) -> None:
        self._runner, self._client = runner, client
        self.session_id, self.capabilities = client.session_id, set(client.capabilities)
        self._events = client.notifications()

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(asyncio.wait_for(call, PATIENCE))
        except RpcError as error:
            raise RefusedError(error.tag.value, error.app_tag, error.path_text, error.message) from None

    def get(self, *filters: Element) -> Element:
        return self._run(self._client.get(*filters))

    def get_config(self, *filters: Element, source: str = "running") -> Element:
        return self._run(self._client.get_config(*filters, source=source))

    def edit(self, config: Element, *, target: str = "running", **options: str) -> None:
        self._run(self._client.edit(config, target=target, **options))  # type: ignore[arg-type]

    def _simple(self, name: str, **parameters: str | None) -> None:
        self._run(self._client.simple(name, **parameters))

    def lock(self, target: str) -> None:
        self._simple("lock", target=target)

    def unlock(self, target: str) -> None:
        self._simple("unlock", target=target)

    def commit(self, **options: Any) -> None:
        renamed = {"timeout": "confirm_timeout"}
        given = {renamed.get(name, name): None if value is True else value for name, value in options.items()}
        self._simple("commit", **given)

    def cancel_commit(self, persist_id: str | None = None) -> None:
        self._simple("cancel-commit", **({} if persist_id is None else {"persist_id": persist_id}))

    def discard_changes(self) -> None:
        self._simple("discard-changes")

    def validate(self, source: str) -> None:
        self._simple("validate", source=source)

    def copy_config(self, source: str, target: str) -> None:
        self._simple("copy-config", target=target, source=source)

    def delete_config(self, target: str) -> None:
        self._simple("delete-config", target=target)

    def get_schema(self, identifier: str) -> str:
        return self._run(self._client.get_schema(identifier))

    def subscribe(self, start: datetime | None = None, stop: datetime | None = None) -> None:
        self._run(self._client.subscribe(start=start, stop=stop))

    def notification(self) -> Element:
        return self._run(anext(self._events)).event  # type: ignore[arg-type]

    def kill_session(self, number: int) -> None:
        request = operation("kill-session")
        child(request, "session-id", str(number))
        self._run(self._client.call(request))

    def dispatch(self, request: Element) -> None:
        self._run(self._client.call(request))

    def close(self) -> None:
        self._run(self._events.aclose())  # type: ignore[attr-defined]
        self._run(self._client.close())
