"""Values of leaves: from the text that a peer sends to canonical text and back (RFC 7950 section 9).

The datastores hold canonical text, by which values are compared. An identity is `module:name` there, as in RFC 7951; in XML it
has a prefix that the element declares (RFC 7950 section 9.10.3).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from yangson.datatype import Decimal64Type, IdentityrefType, IntegralType, LeafrefType, StringType

from quiver.domain import limits

__all__ = ["ValueType"]

# RFC 7950 sections 9.2.1 and 9.3.1. yangson takes what Python takes: 1_000, other scripts' digits, 1e3, NaN, and it rounds.
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = r"[+-]?[0-9]+(?:\.[0-9]{{1,{}}})?"


class ValueType:
    """The type of a leaf or leaf-list.

    Args:
        datatype: yangson's type.
        module: name of the module that defines the leaf.
        prefixes: namespace → prefix that its module chose.
        namespaces: module name → namespace.
    """

    def __init__(
        self,
        datatype: Any,  # noqa: ANN401  # yangson is not typed
        module: str,
        prefixes: Mapping[str, str],
        namespaces: Mapping[str, str],
    ) -> None:
        while isinstance(datatype, LeafrefType):
            datatype = datatype.ref_type
        self._datatype: Final = datatype
        self._module: Final = module
        self._namespaces: Final = namespaces
        self._prefixes: Final = prefixes
        self._modules: Final = {namespace: name for name, namespace in namespaces.items()}
        self.identity: Final = isinstance(datatype, IdentityrefType)
        self._form: Final = _form(datatype)
        self._exact: Final = isinstance(datatype, StringType)  # white space belongs to the value

    def parse(self, text: str, prefixes: Mapping[str | None, str]) -> str:
        """Canonical text of a value.

        Args:
            text: the characters of an XML element.
            prefixes: prefix → namespace that are in force there; None is the default namespace.

        Raises:
            ValueError: the type has no such value; its text is the reason, without the value.
        """
        if len(text) > limits.NETCONF_VALUE:
            raise ValueError(f"a value has at most {limits.NETCONF_VALUE} characters")
        lexical = text if self._exact else text.strip()
        if self._form is not None and not self._form.fullmatch(lexical):
            raise ValueError(self._reason())
        value = self.cooked(self._with_module(lexical, prefixes) if self.identity else lexical)
        return self.canonical(value)

    def cooked(self, text: str) -> Any:  # noqa: ANN401  # of the Python type that yangson has for it
        """The value as yangson computes with it.

        Raises:
            ValueError: the type has no such value.
        """
        try:
            value = self._datatype.parse_value(text)
            valid = value is not None and value in self._datatype
        except Exception:  # noqa: BLE001  # yangson lets errors of decimal, re and base64 through
            value, valid = None, False
        if not valid:
            raise ValueError(self._reason())
        return value

    def canonical(self, value: Any) -> str:  # noqa: ANN401  # of the Python type that yangson has for it
        """Canonical text of a value of yangson's (RFC 7950 section 9.1)."""
        return str(self._datatype.canonical_string(value))

    def shown(self, text: str) -> tuple[str, dict[str, str]]:
        """A canonical text as it stands in XML, and the prefix → namespace that its element must declare."""
        if not self.identity:
            return text, {}
        module, _, name = text.partition(":")
        namespace = self._namespaces[module]
        prefix = self._prefixes[namespace]
        return f"{prefix}:{name}", {prefix: namespace}

    def _with_module(self, text: str, prefixes: Mapping[str | None, str]) -> str:
        prefix, colon, name = text.rpartition(":")
        namespace = prefixes.get(prefix if colon else None, "")
        if not colon and namespace not in self._modules:
            return f"{self._module}:{name}"
        if namespace not in self._modules:
            raise ValueError("the prefix of an identity is not declared or not of a known module")
        return f"{self._modules[namespace]}:{name}"

    def _reason(self) -> str:
        return f"not a value of the type {self._datatype}"


def _form(datatype: object) -> re.Pattern[str] | None:
    """How values of numbers are written; None for other types."""
    if isinstance(datatype, IntegralType):
        return _INTEGER
    if isinstance(datatype, Decimal64Type):
        return re.compile(_DECIMAL.format(datatype.fraction_digits))
    return None
