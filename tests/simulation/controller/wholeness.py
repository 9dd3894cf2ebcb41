"""What must hold once faults are over. Each check returns sentences about what it found; none means that all is well."""

from collections import defaultdict
from itertools import combinations


def paths_are_whole_or_absent(network) -> list[str]:
    """Every entry that an agent holds stands, equal, at every node that it names, and nowhere is there more than is wanted."""
    holders = defaultdict(set)
    digests = defaultdict(set)
    found = []
    for name, site in network.sites.items():
        for key, entry in site.provision.paths.items():
            holders[key].add(name)
            digests[key].add(entry.digest)
            if holders[key] - set(entry.nodes):
                found.append(f"{name} holds {key}, which does not pass it")
            network.entries[key] = entry
    for key, names in holders.items():
        missing = set(network.entries[key].nodes) - names
        if missing:
            found.append(f"{key} is not whole: {sorted(missing)} lack it")
        if len(digests[key]) > 1:
            found.append(f"{key} is not the same everywhere")
    return found


def nothing_is_left_over(network) -> list[str]:
    """Agents hold the versions that the controller uses, and no others."""
    used = {f"{p.virtual_link}/{p.path}/{p.version}" for p in network.pilot.core.snapshot().paths if p.version}
    held = {key for site in network.sites.values() for key in site.provision.paths}
    return [f"{key} is an orphan" for key in sorted(held - used)]


def demands_are_served(network) -> list[str]:
    """Every path of every demand has credit at its source, as the source itself says, and as the controller knows."""
    found = []
    known = {(path.virtual_link, path.path): path for path in network.pilot.core.snapshot().paths}
    for demand in network.wanted:
        for number in range(1, demand.paths + 1):
            path = known.get((demand.name, number))
            key = f"{demand.name}/{number}/{path.version}" if path is not None else ""
            told = {report.key: report.credit for report in network.sites[demand.source].report().paths}
            if not told.get(key):
                found.append(f"{demand.name}/{number} has no credit: {path}")
    return found


def meetings(routes) -> list[str]:
    """Paths of one demand that share a node but their ends.

    Args:
        routes: (demand, path number, nodes).
    """
    found = []
    for (demand, number, one), (same, another, other) in combinations(routes, 2):
        shared = set(one[1:-1]) & set(other[1:-1])
        if demand == same and number != another and one and other and (shared or one == other):
            found.append(f"paths {number} and {another} of {demand} meet: {one} {other}")
    return found


def paths_are_disjoint(network) -> list[str]:
    """The sources' paths share no node but their ends, and no version was ever laid where another path stood."""
    held = {entry.key: entry for site in network.sites.values() for entry in site.provision.paths.values()}
    now = meetings((entry.virtual_link, entry.path, entry.nodes) for entry in held.values())
    return now + network.pilot.met


def versions_name_one_route(network) -> list[str]:
    """No version number was ever used for two routes."""
    routes = defaultdict(set)
    for entry in network.written:
        routes[entry.key].add(entry.digest)
    return [f"{key} was used for {len(found)} routes" for key, found in routes.items() if len(found) > 1]
