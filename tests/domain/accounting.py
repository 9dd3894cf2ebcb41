"""The account of pad: what a database's segments brought was used, or burned for a cause that is named, or is still there."""

from quiver.domain.records import Burned
from tests.simulation.checks import held

from .ground import MemoryDatabase


def unaccounted(database: MemoryDatabase, node: str) -> int:
    """Bytes of pad that a database neither holds any more nor says what became of; it never changes.

    Not 0 where a test gave the pad to the database: then nobody has counted it.
    """
    kept = database.load()
    account = next((record for record in kept if isinstance(record, Burned)), Burned())
    spent = sum(account.uses.values()) + sum(account.causes.values())
    return account.collected - spent - sum(held(record, node) for record in kept)
