"""A client of the controller's northbound interface: for `quiver network`, and for whoever automates an operator's work."""

import json
import os
import socket
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import msgspec

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, RemoteError
from quiver.net import tls
from quiver.net.http_client import HttpClient, Timeouts, printable
from quiver.net.tls import Credentials

__all__ = ["Access", "OperatorClient", "find_access"]

_PREFIX: Final = "/api/v1"
_PROBE: Final = 1.0  # seconds in which a controller of this machine takes a connection
_SHOWN: Final = 500  # characters of a controller's words


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How somebody reaches a controller; a demo writes it to `controller/operator.json` in its state directory.

    Attributes:
        url: `https://host:port` of the northbound interface.
        certificate: of an operator or auditor, PEM.
        private_key: its key, PEM.
        ca: bundles of the controller's authority, PEM.
    """

    url: str
    certificate: str
    private_key: str
    ca: str | list[str]

    @property
    def trust(self) -> list[Path]:
        """The bundles."""
        return [Path(self.ca)] if isinstance(self.ca, str) else [Path(one) for one in self.ca]


def find_access(state: Path | None, url: str | None = None) -> Access:
    """How to reach the controller of a state directory, of the demo that has it at a URL, or of the one demo that runs.

    Args:
        state: a demo's state directory; None looks through this user's `quiver-*` directories in the temporary directory.
        url: of the controller, to look for where no directory is named.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    if state is not None:
        return _read(state / "controller" / "operator.json")
    roots = [path for path in Path(tempfile.gettempdir()).glob("quiver-*") if path.lstat().st_uid == os.getuid()]
    files = [root / "controller" / "operator.json" for root in roots]
    known = [access for access in map(_read, filter(Path.is_file, files)) if url is None or _same(access.url, url)]
    found = [access for access in known if _listens(access)]
    if not found and url is not None:
        raise ConfigurationError(
            f"no demo that runs here has its controller at {url}; --cert, --key and --ca say who asks"
        )
    if not found:
        raise ConfigurationError("no controller runs here; --controller, --cert, --key and --ca name one, or --state")
    if len(found) > 1:
        raise ConfigurationError(f"{len(found)} controllers run here; say which one with --state")
    return found[0]


def _read(path: Path) -> Access:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o022:
            raise ConfigurationError(f"{path}: others may write it")
        access = msgspec.json.decode(path.read_bytes(), type=Access)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    base = path.parent
    return Access(
        url=access.url,
        certificate=str(base / access.certificate),
        private_key=str(base / access.private_key),
        ca=[str(base / one) for one in access.trust],
    )


def _same(one: str, other: str) -> bool:
    """Whether two URLs name one controller, however they are written (RFC 3986 section 6.2.2)."""
    return one.rstrip("/").lower() == other.rstrip("/").lower()


def _listens(access: Access) -> bool:
    parts = urlsplit(access.url)
    if parts.hostname is None or parts.port is None:
        return False
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=_PROBE).close()
    except OSError:
        return False
    return True


class OperatorClient:
    """Calls one controller. As an asynchronous context manager it closes its connections.

    Args:
        access: where it is, and who we are.
        timeouts: of each call.

    Raises:
        ConfigurationError: the URL or a file is wrong.
    """

    def __init__(self, access: Access, *, timeouts: Timeouts | None = None) -> None:
        own = Credentials(Path(access.certificate), Path(access.private_key))
        self._http: Final = HttpClient(
            access.url,
            tls=tls.northbound_client(own, access.trust),
            body_limit=limits.NORTHBOUND_ANSWER,
            what="controller",
            timeouts=timeouts,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def get(self, *place: str, **query: int | str) -> Any:  # noqa: ANN401  # any JSON
        """A resource.

        Args:
            place: the segments of its path, such as "demands" and a name.
            query: parameters.

        Raises:
            RemoteError: the controller refused, or gave no answer.
        """
        pairs = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        return await self._call("GET", _target(place) + (f"?{pairs}" if pairs else ""))

    async def all(self, collection: str) -> list[Any]:
        """All entries of a collection, page after page.

        Raises:
            RemoteError: as `get`.
        """
        page = await self.get(collection)
        entries = list(page["items"])
        while "next" in page:
            page = await self.get(collection, after=page["next"])
            entries += page["items"]
        return entries

    async def post(self, collection: str, body: object) -> Any:  # noqa: ANN401  # any JSON
        """Make a resource; what the controller has made of it.

        Raises:
            RemoteError: as `get`.
        """
        return await self._call("POST", _target((collection,)), json.dumps(body).encode())

    async def put(self, place: Sequence[str], body: object) -> Any:  # noqa: ANN401  # any JSON
        """Make or change a resource; what the controller has made of it.

        Raises:
            RemoteError: as `get`.
        """
        return await self._call("PUT", _target(place), json.dumps(body).encode())

    async def delete(self, *place: str) -> None:
        """Remove a resource.

        Raises:
            RemoteError: as `get`.
        """
        await self._call("DELETE", _target(place))

    async def _call(self, verb: str, target: str, body: bytes | None = None) -> Any:  # noqa: ANN401  # any JSON
        status, answer = await self._http.call(verb, target, body)
        try:
            said = json.loads(answer) if answer else None
        except ValueError:
            raise RemoteError("controller: the answer is no JSON", status=status) from None
        if status >= 300:
            detail = said.get("detail") if isinstance(said, dict) else None
            raise RemoteError(f"controller: {printable(str(detail), _SHOWN)} ({status})", status=status)
        return said


def _target(place: Sequence[str]) -> str:
    return "/".join((_PREFIX, *(quote(part, safe="") for part in place)))
