"""A connection of strongSwan's as a consumer's file gives it: in the words of swanctl.conf, with what fails closed added.

Whoever has a tunnel without post-quantum keys moves its section `connections.NAME` of swanctl.conf here. What the words mean is
charon's to say, and it refuses those that it does not know. Checked here is what keys of the network rest upon: the pre-shared
key is *required* (`ppk_required`, RFC 8784 section 3: without it the two ends fall back to none silently), and nobody but the
consumer makes a security association, so that one that is new was made with the new key.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias, Union

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError

__all__ = [
    "Message",
    "check_connection",
    "check_name",
    "children_of",
    "connection_message",
    "fence_message",
    "fence_name",
]

Message: TypeAlias = dict[str, Union[str, bytes, list[str], "Message"]]
"""What VICI carries: texts, octets, lists of texts, and sections of these."""

_PLACE: Final = "strongswan.connection"
_OURS: Final = {
    "version": "2",  # RFC 8784 is of IKEv2
    "ppk_required": "yes",
    "rekey_time": "0",  # a re-keyed IKE_SA has another number: it would pass for one that was made with the new key
    "reauth_time": "0",  # charon's own re-authentication goes on with the key that the IKE_SA was made with
    "unique": "no",  # the old IKE_SA stays until the new one has been seen to work
}
_DPD_DELAY: Final = "10s"  # where the file says nothing: nobody else notices a peer that is gone
_TOLD: Final = {
    "ppk_id": "is the key_ID, which the consumer sets",
    "pools": "is not for a tunnel between two sites: each new IKE_SA would hand out another address",
    "vips": "is not for a tunnel between two sites: each new IKE_SA would ask for another address",
}
_CHILD_TOLD: Final = {
    "start_action": "is the consumer's: it starts the tunnel once it has a key",
    "close_action": "is the consumer's: it starts the tunnel again",
    "dpd_action": "is the consumer's: it starts the tunnel again",
}
_AUTHENTICATION: Final = ("local", "remote")  # sections whose names begin so
_LISTS: Final = frozenset(
    {"local_addrs", "remote_addrs", "proposals", "esp_proposals", "ah_proposals", "local_ts", "remote_ts", "groups"}
)
"""What VICI takes as lists only."""
_FENCE: Final = "-fence"  # how names of fences end
_FILES: Final = frozenset({"certs", "cacerts", "pubkeys", "cert", "cacert", "pubkey"})


def check_connection(table: Mapping[str, object]) -> None:
    """Whether a connection is one that a consumer can lead.

    Raises:
        ConfigurationError: it contradicts what keys of the network rest upon, lacks what is needed, or holds what VICI cannot
            carry; it names the key.
    """
    _section(table, _PLACE, 1)
    for key, reason in _TOLD.items():
        if key in table:
            raise ConfigurationError(f"{_PLACE}.{key}: {reason}")
    for key, wanted in _OURS.items():
        if _text(table.get(key, wanted)) not in _spellings(wanted):
            raise ConfigurationError(f"{_PLACE}.{key}: has to be {wanted}, or left out")
    for key in ("local_addrs", "remote_addrs", *_AUTHENTICATION, "children"):
        if key not in table:
            raise ConfigurationError(f"{_PLACE}.{key}: missing")
    for key, section in table.items():
        if key.startswith(_AUTHENTICATION) and isinstance(section, Mapping):
            _check_authentication(section, f"{_PLACE}.{key}")
    children = table["children"]
    if not isinstance(children, Mapping) or not children:
        raise ConfigurationError(f"{_PLACE}.children: needs a table for each of at least one child")
    for name, child in children.items():
        _check_child(child, f"{_PLACE}.children.{name}")


def children_of(table: Mapping[str, object]) -> tuple[str, ...]:
    """Names of the children of a connection that was checked."""
    children = table["children"]
    assert isinstance(children, Mapping)
    return tuple(children)


def connection_message(table: Mapping[str, object], ppk_id: str | None) -> Message:
    """What `load-conn` is told of a connection that was checked.

    Args:
        table: the connection.
        ppk_id: of the pre-shared key that this end proposes; None where the other end does, or where there is none yet: then
            `ppk_required` keeps this end from making an IKE_SA.
    """
    message: Message = {"dpd_delay": _DPD_DELAY, **_message(table), **_OURS}
    if ppk_id is not None:
        message["ppk_id"] = ppk_id
    return message


def check_name(name: str) -> None:
    """Whether a connection may be called so.

    Raises:
        ConfigurationError: it would replace the fence of another one.
    """
    if name.endswith(_FENCE):
        raise ConfigurationError(f"strongswan.name: may not end in {_FENCE}, as the fences of other connections do")


def fence_name(name: str) -> str:
    """What the fence of a connection is called."""
    return f"{name}{_FENCE}"


def fence_message(table: Mapping[str, object]) -> Message:
    """A connection that drops what goes between the children's networks while no security association takes it.

    Its policies come after those of security associations; its address keeps it from ever meeting a peer.
    """
    children = table["children"]
    assert isinstance(children, Mapping)
    nowhere: list[str] = ["127.0.0.1"]
    fences: Message = {
        name: {
            "mode": "drop",
            "start_action": "trap",
            "local_ts": _list(child["local_ts"]),
            "remote_ts": _list(child["remote_ts"]),
        }
        for name, child in children.items()
    }
    return {"version": "2", "local_addrs": nowhere, "remote_addrs": nowhere, "children": fences}


# --- checks -----------------------------------------------------------------------------------------------------------


def _section(section: object, place: str, depth: int) -> None:
    """Whether VICI can carry it."""
    if isinstance(section, Mapping):
        if depth > limits.VICI_DEPTH:
            raise ConfigurationError(f"{place}: tables are nested at most {limits.VICI_DEPTH} deep")
        for name, value in section.items():
            if not 0 < len(name) <= limits.VICI_NAME or not name.isascii():
                raise ConfigurationError(f"{place}: a name has 1 to {limits.VICI_NAME} characters of ASCII")
            _section(value, f"{place}.{name}", depth + 1)
    elif isinstance(section, list):
        if not all(isinstance(item, str) for item in section):
            raise ConfigurationError(f"{place}: a list has to be of texts")
        for item in section:
            _section(item, place, depth)
    elif isinstance(section, str):
        if len(section.encode()) > limits.VICI_VALUE:
            raise ConfigurationError(f"{place}: a text has at most {limits.VICI_VALUE} octets")
    elif not isinstance(section, bool | int):
        raise ConfigurationError(f"{place}: has to be a text, a whole number, true, false, a list of texts or a table")


def _check_authentication(section: Mapping[str, object], place: str) -> None:
    for key in section:
        if key in _FILES:
            raise ConfigurationError(
                f"{place}.{key}: is not for this file; name the certificate's owner in {place}.id, and have swanctl --load-creds "
                f"load it"
            )


def _check_child(child: object, place: str) -> None:
    if not isinstance(child, Mapping):
        raise ConfigurationError(f"{place}: has to be a table")
    for key, reason in _CHILD_TOLD.items():
        if key in child:
            raise ConfigurationError(f"{place}.{key}: {reason}")
    if child.get("mode", "tunnel") not in ("tunnel", "transport", "beet"):
        raise ConfigurationError(f"{place}.mode: has to be tunnel, transport or beet: others encrypt nothing")
    for key in ("local_ts", "remote_ts"):
        if not _list(child.get(key, "")):
            raise ConfigurationError(f"{place}.{key}: missing; the networks of both ends have to be named")


# --- words ------------------------------------------------------------------------------------------------------------


def _spellings(wanted: str) -> frozenset[str]:
    """How else charon would read the same."""
    return {"yes": frozenset({"yes", "true", "1"}), "no": frozenset({"no", "false"}), "0": frozenset({"0", "0s"})}.get(
        wanted, frozenset({wanted})
    )


def _text(value: object) -> str:
    """A scalar in swanctl.conf's words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _list(value: object) -> list[str]:
    """A list, which swanctl.conf also takes as a text with commas."""
    items = value if isinstance(value, list) else str(value).split(",")
    return [item.strip() for item in items if item.strip()]


def _message(table: Mapping[str, object]) -> Message:
    message: Message = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            message[key] = _message(value)
        elif key in _LISTS or isinstance(value, list):
            message[key] = _list(value)
        else:
            message[key] = _text(value)
    return message
