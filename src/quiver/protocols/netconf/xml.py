"""XML of strangers, read without following anything in it, and XML of our own, written the same way each time.

Names are in Clark's notation everywhere, `{namespace}local`, as lxml has them.
"""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Final, cast

from lxml import etree

from quiver.domain import limits
from quiver.domain.errors import NetconfError

__all__ = [
    "BASE",
    "LIBRARY",
    "MONITORING",
    "NETMOD",
    "NOTIFICATION",
    "YANG",
    "Element",
    "MalformedError",
    "Names",
    "add",
    "base",
    "child",
    "element",
    "enclose",
    "graft",
    "graft_empty",
    "is_blank",
    "local_of",
    "make",
    "namespace_of",
    "parse",
    "qualified",
    "serialise",
    "text_of",
]

Element = etree._Element  # noqa: SLF001  # lxml has no public name for the type of its elements

Names = Mapping[str | None, str]  # prefix → namespace; the stubs of lxml do not know that None is the default one

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
NETMOD: Final = "urn:ietf:params:xml:ns:netmod:notification"
MONITORING: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
LIBRARY: Final = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
YANG: Final = "urn:ietf:params:xml:ns:yang:1"

_TOO_DEEP: Final = etree.XPath("boolean(" + "/*" * (limits.NETCONF_DEPTH + 1) + ")")
# A tag with too many quoted values, seen before a parser works on it. In CDATA it may match what is no tag at all.
_TOO_MANY_ATTRIBUTES: Final = re.compile(
    rb"""<(?=[A-Za-z_:\x80-\xff])[^<>"']*+(?:(?:"[^"<]*+"|'[^'<]*+')[^<>"']*+){%d}"""
    % (limits.NETCONF_ELEMENT_ATTRIBUTES + 1)
)


class MalformedError(NetconfError):
    """Bytes that are no XML that we read (RFC 6241 section 3, appendix A: malformed-message)."""


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",  # RFC 6241 section 3; a declaration that says otherwise changes nothing
    )


def parse(message: bytes, tags: int = limits.NETCONF_TAGS) -> Element:
    """The root of a message.

    Args:
        message: without its framing.
        tags: angle brackets that it may have.

    Raises:
        MalformedError: it is no well-formed XML in UTF-8, has a document type (RFC 6241 section 3 forbids it), or more
            elements, attributes, prefixes or levels than we are ready to hold; the text says what and shows nothing of it.
    """
    _check_size(message, tags)
    try:
        root = etree.fromstring(message.strip(b" \t\r\n"), _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        code = getattr(error, "code", None)
        place = getattr(error, "position", None)
        where = f" (libxml2 code {code}, line and column {place})" if code else ""
        reason = f"the message is no well-formed XML in UTF-8{where}"
    else:
        _check_shape(root)
        return root
    raise MalformedError(reason)  # outside the handler: no chain to what was parsed


def _check_size(message: bytes, tags: int) -> None:
    """Refuse what would cost a parser more than its length; each of these looks at every byte once."""
    if b"<!DOCTYPE" in message:  # refused before a parser sees it: entities can only be declared there
        raise MalformedError("a message shall have no document type declaration")
    if message.count(b"<") > tags:
        raise MalformedError(f"a message shall have at most {tags} tags")
    if message.count(b"=") > limits.NETCONF_ATTRIBUTES:
        raise MalformedError(f"a message shall have at most {limits.NETCONF_ATTRIBUTES} attributes")
    if _TOO_MANY_ATTRIBUTES.search(message):
        raise MalformedError(f"an element shall have at most {limits.NETCONF_ELEMENT_ATTRIBUTES} attributes")


def _check_shape(root: Element) -> None:
    """Refuse a tree on which later work would cost more than its elements."""
    if _TOO_DEEP(root):
        raise MalformedError(f"a message shall have at most {limits.NETCONF_DEPTH} nested elements")
    in_force = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        in_force += 1 if event == "start-ns" else -1
        if in_force > limits.NETCONF_PREFIXES:
            raise MalformedError(
                f"an element shall be below at most {limits.NETCONF_PREFIXES} declarations of prefixes"
            )


def serialise(root: Element) -> bytes:
    """A message as it is sent: with a declaration, in UTF-8."""
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def enclose(outer: Element, parts: Iterable[Element]) -> bytes:
    """A message of an element and further children, which stay where they are.

    lxml drops declarations of prefixes from an element that moves below another one where its namespace is declared under
    another prefix already, although a value such as an identity may need it (RFC 7950 section 9.10.3). So nothing of ours that
    may hold such a value ever moves; it is written where it is, or copied by `graft`.
    """
    start = etree.tostring(outer, encoding="UTF-8", xml_declaration=True)
    end = "</{}{}>".format("" if outer.prefix is None else f"{outer.prefix}:", local_of(outer.tag)).encode()
    opened = start[: -len(end)] if start.endswith(end) else start[: -len(b"/>")] + b">"
    return b"".join((opened, *(etree.tostring(part, encoding="UTF-8", with_tail=False) for part in parts), end))


def graft(parent: Element, source: Element) -> Element:
    """A copy of an element as the last child of another one, with all declarations of prefixes that it had."""
    if b"xmlns:" not in etree.tostring(source, encoding="UTF-8"):
        copied = deepcopy(source)
        copied.tail = None
        parent.append(copied)
        return copied
    return _graft(parent, source)


def _graft(parent: Element, source: Element) -> Element:
    made = graft_empty(parent, source)
    made.text = source.text
    for below in source:
        _graft(made, below)
    return made


def graft_empty(parent: Element, source: Element) -> Element:
    """As `graft`, without text and children."""
    held, names = parent.nsmap, source.nsmap
    ordered = {source.prefix: names[source.prefix], **names} if source.prefix in names else names
    declared = {prefix: uri for prefix, uri in ordered.items() if held.get(prefix) != uri or prefix == source.prefix}
    made = add(parent, source.tag, declared or None)
    for name, value in source.attrib.items():
        made.set(name, value)
    return made


def qualified(namespace: str, local: str) -> str:
    """A name in Clark's notation."""
    return f"{{{namespace}}}{local}"


def base(local: str) -> str:
    """A name of NETCONF's own namespace."""
    return f"{{{BASE}}}{local}"


def namespace_of(tag: str) -> str:
    """The namespace of a name; empty where it has none."""
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""


def local_of(tag: str) -> str:
    """The local part of a name."""
    return tag.rpartition("}")[2]


def make(tag: str, names: Names | None = None, attributes: Mapping[str, str] | None = None) -> Element:
    """A new element that declares some prefixes; None is the default namespace."""
    return etree.Element(tag, attrib=dict(attributes or {}), nsmap=cast("dict[str, str]", names))


def add(parent: Element, tag: str, names: Names | None = None) -> Element:
    """A new last child that declares some prefixes; None is the default namespace."""
    return etree.SubElement(parent, tag, nsmap=cast("dict[str, str]", names))


def element(tag: str, text: str | None = None) -> Element:
    """A new element whose namespace is the default one."""
    made = make(tag, {None: namespace_of(tag)})
    made.text = text
    return made


def child(parent: Element, local: str, text: str | None = None) -> Element:
    """A new child element in its parent's namespace."""
    made = etree.SubElement(parent, qualified(namespace_of(parent.tag), local))
    made.text = text
    return made


def text_of(leaf: Element) -> str:
    """The characters of an element without children, as they stand there."""
    return leaf.text or ""


def is_blank(text: str | None) -> bool:
    """Whether characters between elements are only white space."""
    return not text or text.isspace()
