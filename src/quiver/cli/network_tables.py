"""Tables of `quiver network`, for people: what the controller says, a line for each resource."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["show_agents", "show_alarms", "show_demands", "show_history", "show_links", "show_network", "show_paths"]

Row = dict[str, Any]
_COLOURS = {"critical": "bold red", "major": "red", "minor": "yellow"}


def _print(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], otherwise: str) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    if table.row_count:
        Console().print(table)
    else:
        Console().print(Text(otherwise))


def _age(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"


def _bytes(amount: int | None) -> str:
    if amount is None:
        return "unknown"
    for unit in ("B", "KiB", "MiB"):
        if amount < 10_240 or unit == "MiB":
            return f"{amount:.0f} {unit}"
        amount //= 1024
    return ""


def _rate(bits: float | None) -> str:
    if bits is None:
        return "-"
    return f"{bits / 1000:.1f} kbit/s" if bits < 1e6 else f"{bits / 1e6:.2f} Mbit/s"


def _flags(row: Row, **words: str) -> str:
    return ", ".join(word for field, word in words.items() if row[field])


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def show_network(network: Row, nodes: Sequence[Row]) -> None:
    """The network in a few figures, and its nodes."""
    Console().print(
        Text(
            f"controller {network['controller']}: {network['phase']}, term {network['term']}; "
            f"{network['sessions']} of {network['nodes']} nodes managed, {network['links']} links, "
            f"{network['served']} of {network['demands']} demands served, {network['alarms']} alarms"
        )
    )
    _print(
        "Nodes",
        ("Node", "Session", "Report", "Served", "Refused", "Waiting", "Remarks"),
        (
            (
                row["node"],
                row["stage"],
                _age(row["age"]),
                row["served"],
                row["refused"],
                row["waiting"],
                _flags(row, dead="dead", drained="drained", distrust="distrusted", refuses="refuses our term"),
            )
            for row in nodes
        ),
        "no node belongs to the network",
    )


def show_links(links: Sequence[Row]) -> None:
    """QKD links."""
    _print(
        "QKD links",
        ("Link", "Ends", "State", "Rate", "QBER", "Pads", "Remarks"),
        (
            (
                row["id"],
                " - ".join(row["ends"]),
                row["state"],
                _rate(row["rate"]),
                "-" if row["qber"] is None else f"{100 * row['qber']:.2f} %",
                ", ".join(
                    f"{node} {_bytes(pad['own'])} of {_bytes(pad['level'])}" for node, pad in row["link_pads"].items()
                ),
                _flags(row, drained="drained", unsteady="unsteady", alarmed="QBER alarm")
                + ("" if row["producing"] else " device fault"),
            )
            for row in links
        ),
        "no link is named by both its ends",
    )


def show_paths(paths: Sequence[Row]) -> None:
    """Routes of virtual links."""
    _print(
        "Paths",
        ("Path", "Version", "Route", "Credit", "Ready", "Remarks"),
        (
            (
                f"{row['virtual_link']}/{row['path']}",
                row["version"] or "-",
                " ".join(row["nodes"]) or "-",
                _bytes(row["credit"]),
                _bytes(row["ready"]),
                "; ".join(
                    part
                    for part in (row["trouble"], f"moves to {' '.join(row['coming'])}" if row["coming"] else "")
                    if part
                ),
            )
            for row in paths
        ),
        "nothing is asked for",
    )


def show_demands(demands: Sequence[Row]) -> None:
    """What is to be served."""
    _print(
        "Demands",
        ("Name", "From", "To", "Paths up", "Rate", "Depth", "Class", "Excluded", "Asked for by"),
        (
            (
                row["demand"]["name"],
                row["demand"]["source"],
                row["demand"]["destination"],
                f"{row['up']} of {row['demand']['paths']}",
                _rate(row["demand"]["rate"]) if row["demand"]["rate"] else "-",
                _bytes(row["demand"]["depth"]),
                row["demand"]["priority"],
                " ".join(row["demand"]["excluded"]),
                row["demand"]["origin"],
            )
            for row in demands
        ),
        "nothing is asked for",
    )


def show_agents(agents: Sequence[Row]) -> None:
    """Where agents are."""
    _print(
        "Agents",
        ("Agent", "Over", "Address", "Session", "Peer address", "Known by", "Trouble"),
        (
            (
                row["agent"]["id"],
                "TLS" if row["agent"]["tls"] else "SSH",
                row["agent"]["tls"] or row["agent"]["ssh"],
                "up" if row["session"] else "down",
                row["agent"]["peer"] or "-",
                row["registrar"],
                row["trouble"],
            )
            for row in agents
        ),
        "no agent is known",
    )


def show_alarms(alarms: Sequence[Row]) -> None:
    """What is wrong now."""
    _print(
        "Alarms",
        ("Severity", "Since (UTC)", "Alarm", "Of", "What"),
        (
            (
                Text(row["severity"], style=_COLOURS[row["severity"]]),
                _time(row["since"]),
                row["name"],
                f"{row['about']} {row['id']}",
                row["text"],
            )
            for row in alarms
        ),
        "no alarm stands",
    )


def show_history(entries: Sequence[Row]) -> None:
    """What has happened."""
    _print(
        "History",
        ("Number", "Time (UTC)", "What", "About", "Seconds"),
        (
            (
                row["number"],
                _time(row["time"]),
                row["name"],
                ", ".join(f"{name} {value}" for name, value in row["about"].items() if value),
                ", ".join(f"{name} {value:.3f}" for name, value in row["seconds"].items()),
            )
            for row in entries
        ),
        "nothing has happened yet",
    )
