"""What must hold once all faults have ended. Each check gives sentences about what it found; none means that all is well."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from quiver.domain import records
from quiver.domain.network import PathEntry
from quiver.domain.records import Burned
from quiver.domain.reply import DeliveredKey
from quiver.domain.report import NodeReport, PathRole
from quiver.store.sqlite import SqliteDatabase
from tests.simulation.checks import held

Reports = Mapping[str, NodeReport]

EXPLAINED = (
    "restart",  # a killed agent had sequences open
    "meeting",  # what was on its way when one of two agents was killed
    "handover-",  # likewise, of keys from devices; or their link was cut
    "next-",  # a relay's next node did not take what was announced
    "refused-no-credit",  # likewise, the source's: after a kill it knows no promises ...
    "refused-refused",  # ... or a meeting has burned what was on its way to it, and is announced again
    "not-accepted",  # what a neighbour had taken from its pad for an announcement that never came
    "voided-by-",  # the source, or the destination: one of the other nodes could not do its part
    "relay-lost",
    "credit-lost",
    "superseded",
    "retired",
    "timeout",
    "container-",  # without an answer in time, or refused
    "withdrawn",  # likewise, at the other end
)
"""Beginnings of the causes under which kills, cuts and reroutes burn pad. No storage was rolled back and no tag is wrong."""


# --- paths ------------------------------------------------------------------------------------------------------------


def paths_are_whole_or_absent(reports: Reports) -> list[str]:
    """Every entry that an agent holds stands, equal, at every node that it names."""
    holders: dict[str, dict[str, PathEntry]] = defaultdict(dict)
    for node, report in reports.items():
        for entry in report.configured:
            holders[entry.key][node] = entry
    found = []
    for key, held_by in holders.items():
        entry = next(iter(held_by.values()))
        if len({one.digest for one in held_by.values()}) > 1:
            found.append(f"{key} is not the same everywhere")
        if held_by.keys() != set(entry.nodes):
            found.append(f"{key} over {entry.nodes} is held by {sorted(held_by)}")
    return found


def nothing_is_left_over(reports: Reports, paths: Iterable[Mapping[str, Any]]) -> list[str]:
    """Agents hold the versions that the controller uses, and no others."""
    used = {f"{path['virtual_link']}/{path['path']}/{path['version']}" for path in paths if path["version"]}
    configured = {entry.key for report in reports.values() for entry in report.configured}
    return [f"{key} is an orphan" for key in sorted(configured - used)] + [
        f"{key} is used and nobody holds it" for key in sorted(used - configured)
    ]


def demands_have_credit(reports: Reports, names: Iterable[str]) -> list[str]:
    """The source of each demand has credit for a version that it holds."""
    credited = {
        path.key.rsplit("/", 2)[0]
        for report in reports.values()
        for path in report.paths
        if path.role is PathRole.SOURCE and path.credit and path.key in {entry.key for entry in report.configured}
    }
    return [f"{name} has no credit" for name in names if name not in credited]


def versions_name_one_route(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """No version number was used for two routes, whichever controller chose them."""
    routes: dict[str, set[str]] = defaultdict(set)
    for entry in history:
        if "route" in entry.get("about", {}):
            routes[entry["about"]["path"]].add(entry["about"]["route"])
    return [f"{key} was used for {sorted(found)}" for key, found in routes.items() if len(found) > 1]


def terms_rise(terms: list[int]) -> list[str]:
    """Each controller that led had a term above those before it."""
    return [] if terms == sorted(set(terms)) else [f"controller terms do not rise: {terms}"]


# --- keys and pad -----------------------------------------------------------------------------------------------------


def keys_are_equal_and_once(keys: list[DeliveredKey]) -> list[str]:
    """No two keys have a key_ID or a value in common. That both sides got the same, the traffic has asserted."""
    names = Counter(key.key_id for key in keys)
    values = Counter(key.key.reveal() for key in keys)
    found = [f"{name} was given {count} times" for name, count in names.items() if count > 1]
    return found + [f"a value was given {count} times" for count in values.values() if count > 1]


def burned_pad_is_explained(reports: Reports) -> list[str]:
    """Nothing was burned but for causes that kills, stops, cuts and reroutes have."""
    return [
        f"{node} burned {count} bytes: {cause}"
        for node, report in reports.items()
        for cause, count in report.burned.items()
        if not cause.startswith(EXPLAINED)
    ]


def pad_is_accounted_for(databases: Mapping[str, Path]) -> list[str]:
    """In each key database: every byte that segments brought was used, or burned, or is still there. The agents have ended."""
    found = []
    for node, path in databases.items():
        database = SqliteDatabase(path)
        try:
            kept = [
                records.decode(kind, body, secret.reveal() if secret is not None else None)
                for kind, _, body, secret in database.load()
            ]
        finally:
            database.close()
        account = next((record for record in kept if isinstance(record, Burned)), Burned())
        there = sum(held(record, node) for record in kept)
        used, burned = sum(account.uses.values()), sum(account.causes.values())
        if account.collected != used + burned + there:
            found.append(f"{node}: {account.collected - used - burned - there} bytes of pad unaccounted for")
    return found


# --- what processes have said -----------------------------------------------------------------------------------------


def nobody_raised_an_alarm(logs: Path) -> list[str]:
    """No agent has seen a wrong tag, a mismatch or a rollback, and no process had to be made anew from its database."""
    found = []
    for path in sorted(logs.glob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                found.append(f"{path.name}: {line[:200]}")
                continue
            if said.get("event") == "alarm" or said.get("level") == "critical":
                found.append(f"{path.name}: {line[:300]}")
    return found
