"""The rights of the management plane's roles, and the fence between controllers (design section 7).

Every edit of a controller carries its term. The node keeps the highest and refuses lower ones, so that a controller which has
been replaced, and does not know it yet, changes nothing any more.
"""

import pathlib
from typing import Final

from quiver.agent.management_entries import Edit, EntryKind, entry_of, read_entry
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.protocols.netconf.access import Principal, Role
from quiver.protocols.netconf.change import PendingChange
from quiver.protocols.netconf.datastores import Datastores, TestOption
from quiver.protocols.netconf.edit import Operation
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.locks import Target
from quiver.protocols.netconf.paths import Path, Step
from quiver.protocols.netconf.tree import Branch, value_at
from quiver.protocols.netconf.xml import Element, qualified, text_of
from quiver.protocols.yang.names import KMS
from quiver.store.configuration import Author, ConfigurationDatabase

__all__ = ["LASTING", "STALE_TERM", "WRITES", "FencedDatastores", "forget_term"]

_TERM_NODE: Final = "/quiver-kms:kms/controller/term"
LASTING: Final = (_TERM_NODE,)
"""What no rollback takes back."""

_CONTROLLER: Final = frozenset((Role.CONTROLLER,))
_BOTH: Final = frozenset((Role.CONTROLLER, Role.OPERATOR))
_OPERATOR: Final = frozenset((Role.OPERATOR,))
WRITES: Final = {
    "/quiver-kms:kms/controller": _CONTROLLER,
    "/quiver-kms:kms/directory/node": _BOTH,
    "/quiver-kms:kms/path": _BOTH,  # an operator's by hand
    "/quiver-kms:kms/directory/sae": _OPERATOR,
    "/quiver-kms:kms/directory/permitted-pair": _OPERATOR,
}
"""Who may change what (rule 7); everything else nobody."""

STALE_TERM: Final = "stale-term"
"""error-app-tag of an edit of a controller that another one has replaced, or that says no term."""

_STEPS: Final = tuple(qualified(KMS, name) for name in ("kms", "controller", "term"))
_PLACE: Final[Path] = tuple(map(Step, _STEPS))


class FencedDatastores(Datastores):
    """Datastores in which a controller's edits have to carry its term, and leave it behind."""

    def edit(
        self, who: Principal, target: Target, config: Element, default: Operation, option: TestOption | None
    ) -> PendingChange | None:
        """As `Datastores.edit`.

        Raises:
            RpcError: as there; access-denied with the app-tag `stale-term` where the term is missing, too low, or does not stand;
                invalid-value where it is above `limits.TERM_MAX`.
        """
        if who.role is Role.CONTROLLER and self._said(config) < (held := _term_of(self.running)):
            raise _stale(f"term {held} was accepted before")
        return super().edit(who, target, config, default, option)

    def _edited(self, who: Principal, config: Element, new: Branch) -> None:
        # An edit can say its term and yet take it away or not write it: by an operation, or by default-operation none.
        if who.role is Role.CONTROLLER and _term_of(new) != (said := self._said(config)):
            raise _stale(f"the edit says {said} and would not leave that behind")

    def _said(self, config: Element) -> int:
        said = config.find("/".join(_STEPS))
        if said is None:
            raise _stale("each edit of a controller carries its term")
        datatype = self.schema.node(_TERM_NODE).type
        assert datatype is not None
        try:
            term = int(datatype.parse(text_of(said), {}))
        except ValueError as error:
            raise RpcError(Tag.INVALID_VALUE, f"kms/controller/term: {error}", path=_PLACE) from None
        # No bound above the term held: one that is new here, was away or comes from a backup has to take the network's term.
        if term > limits.TERM_MAX:
            reason = f"no controller claims a term above {limits.TERM_MAX}"
            raise RpcError(Tag.INVALID_VALUE, f"kms/controller/term: {reason}", path=_PLACE)
        return term


def _term_of(tree: Branch) -> int:
    held = value_at(tree, _PLACE)
    return int(held) if isinstance(held, str) else 0


def _stale(reason: str) -> RpcError:
    return RpcError(Tag.ACCESS_DENIED, f"kms/controller/term: {reason}", path=_PLACE, app_tag=STALE_TERM)


def forget_term(database: pathlib.Path) -> int:
    """Let an agent that does not run accept any controller term again; the term that it had accepted.

    Only by hand, on the agent's machine: over NETCONF nobody takes a term back, else a controller that was replaced could.

    Args:
        database: its configuration database.

    Raises:
        ConfigurationError: there is none, or it is not usable; the agent runs.
        StorageError: it cannot be read or written now.
    """
    if not database.exists():
        raise ConfigurationError(f"{database}: nothing has come over NETCONF yet")
    author = Author(user="", role="", transport="", peer="", session=0, cause="forget-term")
    held = ConfigurationDatabase(database)
    try:
        edits = [read_entry(entry) for entry in held.load().entries if entry.kind == EntryKind.TERM]
        if edits:
            held.commit([entry_of(Edit(EntryKind.TERM, "", None))], author, fallback=held.load().fallback)
    finally:
        held.close()
    return max((edit.value for edit in edits if isinstance(edit.value, int)), default=0)
