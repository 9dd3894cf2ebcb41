"""What a daemon needs its certificates to be, and what is wrong with those that it has."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from quiver.domain.errors import ConfigurationError
from quiver.identity.registry import describe

__all__ = ["Need"]

PQ: Final = "ML-DSA-65"


class Need(msgspec.Struct, frozen=True):
    """What a certificate has to be.

    Attributes:
        where: its field.
        path: its file.
        name: the URI that it must have.
        usages: what it must be good for: `client`, `server`.
        classical: it is for parties that know no ML-DSA, and may come from a foreign authority, without a name of ours.
    """

    where: str
    path: Path
    name: str
    usages: tuple[str, ...]
    classical: bool = False

    def findings(self, now: datetime.datetime) -> Iterator[str]:
        """What is wrong with it, one line each; a file that cannot be read is its plane's to report.

        Args:
            now: the moment (UTC) at which it has to be valid.
        """
        try:
            facts = describe(self.path, now=now)[0]
        except ConfigurationError:
            return
        where = f"{self.where}: {self.path}"
        ours = [uri for uri in facts["uris"] if uri.lower().startswith("urn:quiver:")]
        if ours != [self.name] and (ours or not self.classical):
            yield f"{where} names {', '.join(ours) or facts['subject'] or 'nobody'}; {self.name} is needed"
        if self.classical and facts["key"].startswith("ML-DSA"):
            yield f"{where} has a key of {facts['key']}; a classical one is needed"
        if not self.classical and facts["key"] != PQ:
            yield f"{where} has a key of {facts['key']}; {PQ} is needed"
        if facts["state"] != "valid":
            yield f"{where} is {facts['state']} (valid from {facts['not_before']} to {facts['not_after']})"
        missing = [usage for usage in self.usages if usage not in facts["usages"]]
        if missing and (facts["usages"] or not self.classical):
            yield f"{where} may not be used as {' and '.join(missing)} (extended key usage)"
