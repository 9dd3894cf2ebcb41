"""Addresses as configurations write them: text that is right from the start, and knows its host and port."""

import re
from typing import Final, Self

from quiver.net.tls_names import is_address

__all__ = ["Address", "ListenAddress", "SourceAddress"]

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[^\[\]]*:[^\[\]]*)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_PORTS: Final = 65_535


class Address(str):
    """Where another node listens, "HOST:PORT" or "[IPv6]:PORT".

    Raises:
        ValueError: it is not of this form.
    """

    __slots__ = ("host", "port")
    host: str
    port: int
    _lowest_port = 1

    def __new__(cls, text: str) -> Self:
        """The address from its text."""
        match = _ADDRESS.fullmatch(text)
        if match is None or not cls._lowest_port <= int(match["port"]) <= _PORTS:
            message = (
                f"{text!r} is not allowed; HOST:PORT or [IPv6]:PORT is, with a port of {cls._lowest_port} to {_PORTS}"
            )
            raise ValueError(message)
        self = super().__new__(cls, text)
        self.host, self.port = match["six"] or match["host"], int(match["port"])
        if match["six"] and not is_address(self.host):
            message = f"{text!r} is not allowed; between [ and ] an IPv6 address is"
            raise ValueError(message)
        return self


class ListenAddress(Address):
    """Where a plane listens: an address of this machine, and a port, 0 for any free one.

    Raises:
        ValueError: it is not of this form.
    """

    __slots__ = ()
    _lowest_port = 0

    def __new__(cls, text: str) -> Self:
        """The address from its text."""
        self = super().__new__(cls, text)
        if not is_address(self.host):
            message = f"{text!r} is not allowed; an IPv4 or IPv6 address is, with a port"
            raise ValueError(message)
        return self


class SourceAddress(str):
    """The local address of outgoing calls, IPv4 or IPv6 without a port.

    Raises:
        ValueError: it is none.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The address from its text."""
        if not is_address(text):
            message = f"{text!r} is not allowed; an IPv4 or IPv6 address without a port is"
            raise ValueError(message)
        return super().__new__(cls, text)
