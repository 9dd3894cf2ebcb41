"""What the two sides of a session say first, and what follows from it (RFC 6241 section 8.1)."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from quiver.domain.errors import NetconfError
from quiver.protocols.netconf.framing import Framing
from quiver.protocols.netconf.modules import Module
from quiver.protocols.netconf.xml import BASE, base, child, element, parse, serialise, text_of

__all__ = ["BASE_1_0", "BASE_1_1", "Hello", "content_id", "hello", "read_hello", "server_capabilities"]

BASE_1_0: Final = "urn:ietf:params:netconf:base:1.0"
BASE_1_1: Final = "urn:ietf:params:netconf:base:1.1"
_ID_DIGITS: Final = 10  # of 4294967295, the largest session-id (RFC 6241 appendix C)
_CAPABILITY: Final = "urn:ietf:params:netconf:capability:"
_OURS: Final = (
    BASE_1_0,
    BASE_1_1,
    f"{_CAPABILITY}writable-running:1.0",
    f"{_CAPABILITY}candidate:1.0",
    f"{_CAPABILITY}confirmed-commit:1.1",
    f"{_CAPABILITY}rollback-on-error:1.0",
    f"{_CAPABILITY}validate:1.1",
    f"{_CAPABILITY}notification:1.0",
    f"{_CAPABILITY}interleave:1.0",
)


@dataclass(frozen=True, slots=True)
class Hello:
    """What the other side announced.

    Attributes:
        capabilities: URIs.
        session: the session-id that a server gives; None from a client.
    """

    capabilities: frozenset[str]
    session: int | None

    @property
    def framing(self) -> Framing:
        """Of all messages after the hellos, as we announce both versions (RFC 6242 section 4.1)."""
        return Framing.CHUNKED if BASE_1_1 in self.capabilities else Framing.END_OF_MESSAGE


def content_id(modules: Iterable[Module]) -> str:
    """A name of this set of modules, which changes when the set does (RFC 8525 section 3)."""
    lines = sorted(f"{module.name}@{module.revision} {module.implemented} {module.features}" for module in modules)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def server_capabilities(modules: Iterable[Module]) -> tuple[str, ...]:
    """All that a server of these modules announces; modules of YANG 1.1 are in the YANG library only (RFC 7950 5.6.4)."""
    held = tuple(modules)
    library = next((module for module in held if module.name == "ietf-yang-library"), None)
    found = list(_OURS)
    if library is not None:
        found.append(f"{_CAPABILITY}yang-library:1.1?revision={library.revision}&content-id={content_id(held)}")
        found.append(f"{_CAPABILITY}yang-library:1.0?revision=2016-04-09&module-set-id={content_id(held)}")
    for module in held:
        if module.version == "1" and module.implemented:
            features = f"&features={','.join(module.features)}" if module.features else ""
            found.append(f"{module.namespace}?module={module.name}&revision={module.revision}{features}")
    return tuple(found)


def hello(capabilities: Iterable[str], session: int | None = None) -> bytes:
    """A hello without its framing."""
    root = element(base("hello"))
    listed = child(root, "capabilities")
    for capability in capabilities:
        child(listed, "capability", capability)
    if session is not None:
        child(root, "session-id", str(session))
    return serialise(root)


def read_hello(message: bytes, *, from_server: bool) -> Hello:
    """The other side's hello.

    Raises:
        NetconfError: it is none, has no version in common with us, or a session-id where there must be none, or none where
            there must be one (RFC 6241 section 8.1); the session must end.
    """
    root = parse(message)
    if root.tag != base("hello"):
        raise NetconfError("the first message is no hello")
    capabilities = frozenset(
        text_of(capability).strip() for capability in root.iterfind(f"{{{BASE}}}capabilities/{{{BASE}}}capability")
    )
    number = root.find(base("session-id"))
    if (number is not None) is not from_server:
        raise NetconfError("a session-id comes from the server, always and only (RFC 6241 section 8.1)")
    if not capabilities & {BASE_1_0, BASE_1_1}:
        raise NetconfError("no version of NETCONF in common")
    return Hello(capabilities, None if number is None else _session_id(text_of(number).strip()))


def _session_id(text: str) -> int:
    # The length comes first: Python reads no number of thousands of digits.
    if text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS and 0 < int(text) < 1 << 32:
        return int(text)
    raise NetconfError("the session-id is no number from 1 to 4294967295")
