"""Refusals of single rpcs, as values and as XML (RFC 6241 section 4.3 and appendix A)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from lxml import etree

from quiver.domain.errors import NetconfError
from quiver.protocols.netconf.paths import Path, identifier, prefixes_of
from quiver.protocols.netconf.xml import Element, base, element, local_of, text_of

__all__ = ["ErrorType", "RpcError", "Tag", "from_element", "to_element"]

_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_SHOWN: Final = 500  # characters of a message that came from elsewhere


class ErrorType(StrEnum):
    """The layer that found the error (RFC 6241 section 4.3)."""

    TRANSPORT = "transport"
    RPC = "rpc"
    PROTOCOL = "protocol"
    APPLICATION = "application"


class Tag(StrEnum):
    """All error tags of RFC 6241 appendix A."""

    IN_USE = "in-use"
    INVALID_VALUE = "invalid-value"
    TOO_BIG = "too-big"
    MISSING_ATTRIBUTE = "missing-attribute"
    BAD_ATTRIBUTE = "bad-attribute"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    MISSING_ELEMENT = "missing-element"
    BAD_ELEMENT = "bad-element"
    UNKNOWN_ELEMENT = "unknown-element"
    UNKNOWN_NAMESPACE = "unknown-namespace"
    ACCESS_DENIED = "access-denied"
    LOCK_DENIED = "lock-denied"
    RESOURCE_DENIED = "resource-denied"
    ROLLBACK_FAILED = "rollback-failed"
    DATA_EXISTS = "data-exists"
    DATA_MISSING = "data-missing"
    OPERATION_NOT_SUPPORTED = "operation-not-supported"
    OPERATION_FAILED = "operation-failed"
    PARTIAL_OPERATION = "partial-operation"
    MALFORMED_MESSAGE = "malformed-message"


class RpcError(NetconfError):
    """One rpc is refused; nothing of it was done.

    Args:
        tag: what kind of error.
        message: what is wrong and what is allowed.
        type: the layer that found it.
        path: where in the datastore.
        app_tag: error-app-tag, as RFC 7950 section 15 gives them.
        info: error-info as (name of NETCONF's namespace, text), such as `bad-element` and a name.
        path_text: error-path as a server sent it; only in errors that were read from XML.
    """

    def __init__(
        self,
        tag: Tag,
        message: str,
        *,
        type: ErrorType = ErrorType.APPLICATION,  # noqa: A002  # the RFC's word
        path: Path = (),
        app_tag: str | None = None,
        info: Sequence[tuple[str, str]] = (),
        path_text: str = "",
    ) -> None:
        super().__init__(message)
        self.tag: Final = tag
        self.type: Final = type
        self.path = path
        self.app_tag: Final = app_tag
        self.info: Final = tuple(info)
        self.path_text: Final = path_text


def to_element(error: RpcError, prefixes: Mapping[str, str]) -> Element:
    """An rpc-error.

    Args:
        error: the refusal.
        prefixes: namespace → prefix of the modules that error-path may name.
    """
    made = element(base("rpc-error"))
    for name, text in (
        ("error-type", error.type.value),
        ("error-tag", error.tag.value),
        ("error-severity", "error"),  # no warning is defined (RFC 6241 section 4.3)
        ("error-app-tag", error.app_tag),
    ):
        if text is not None:
            etree.SubElement(made, base(name)).text = text
    if error.path:
        names = prefixes_of(error.path, prefixes)
        place = etree.SubElement(made, base("error-path"), nsmap=names)
        place.text = identifier(error.path, names)
    message = etree.SubElement(made, base("error-message"))
    message.set(_XML_LANG, "en")
    message.text = error.message
    if error.info:
        info = etree.SubElement(made, base("error-info"))
        for name, text in error.info:
            etree.SubElement(info, base(name)).text = text
    return made


def from_element(sent: Element) -> RpcError:
    """The error that a server sent; what it leaves out or does not keep to becomes an operation-failed."""

    def text(name: str) -> str:
        found = sent.find(base(name))
        return "" if found is None else text_of(found).strip()

    tag, kind = text("error-tag"), text("error-type")
    info = sent.find(base("error-info"))
    return RpcError(
        Tag(tag) if tag in set(Tag) else Tag.OPERATION_FAILED,
        (text("error-message") or tag or "the server gave no reason")[:_SHOWN],
        type=ErrorType(kind) if kind in set(ErrorType) else ErrorType.APPLICATION,
        app_tag=text("error-app-tag") or None,
        info=[] if info is None else [(local_of(part.tag), text_of(part)) for part in info],
        path_text=text("error-path"),
    )
