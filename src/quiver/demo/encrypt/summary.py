"""What the demonstration tells people, live and in the end, and what it tells scripts."""

from typing import Any

from rich.console import Console
from rich.table import Table

from quiver.demo.encrypt.job import Live
from quiver.demo.encrypt.results import EncryptResult

__all__ = ["encrypt_object", "live_table", "print_encrypt"]


def live_table(live: Live) -> Table:
    """The picture of the present moment."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    result = live.result
    if result is None:
        return table
    for name, value in _rows(result):
        table.add_row(name, value)
    table.add_row("key in use", f"{result.state.age:.0f} s old")
    table.add_row("network", f"[red]{live.broken}[/red]" if live.broken else "[green]whole[/green]")
    return table


def _rows(result: EncryptResult) -> list[tuple[str, str]]:
    counts, state = result.counts, result.state
    rows = [
        ("tunnel", result.words),
        ("rollovers", f"{state.rollovers}, each proven by the tunnel with the new key; {state.failures} failed"),
        ("keys used", f"{state.keys} of 256 bits, relayed over {result.hops} hops or more"),
        ("echoes", f"{counts.echoes} sent, {counts.unanswered} unanswered"),
    ]
    if counts.datagrams:
        rows.append(("datagrams", f"{counts.datagrams} sent, {counts.lost} lost"))
    rows.append(("stream", f"{counts.throughput:.1f} Mbit/s in the mean, {counts.broken} connections broken"))
    return rows


def print_encrypt(result: EncryptResult, console: Console) -> None:
    """The summary."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _rows(result):
        table.add_row(name, value)
    table.add_row("reroutes", f"{result.reroutes} of {len(result.faults)}")
    table.add_row("time", f"{result.seconds:.0f} s of traffic")
    console.print(f"[bold]Traffic between {' and '.join(result.saes)}[/bold]", table, "", sep="\n")
    if result.faults:
        broken = Table("what broke", "route before", "keys had another way", "over", box=None, padding=(0, 2, 0, 0))
        for fault in result.faults:
            for move in fault.moves.values():
                after = " ".join(move.after) if move.after is not None else "-"
                seconds = f"after {move.ready:.2f} s" if move.ready is not None else "not in time"
                broken.add_row(fault.what, " ".join(move.before), seconds, after)
        console.print(broken, "", sep="\n")
    lost = result.counts.unanswered + result.counts.lost
    if result.flawless:
        words = (
            "lost nothing" if not lost else f"lost {lost} of {result.counts.echoes + result.counts.datagrams} packets"
        )
        console.print(f"The network broke and was mended; the tunnel's users {words}.", style="green")
    else:
        console.print("Not everything went as it should: see above.", style="red")


def encrypt_object(result: EncryptResult) -> dict[str, Any]:
    """The same for scripts."""
    counts, state = result.counts, result.state
    return {
        "tunnel": result.kind,
        "saes": list(result.saes),
        "hops": result.hops,
        "rollovers": state.rollovers,
        "failed_rollovers": state.failures,
        "keys_used": state.keys,
        "packets": {
            "echoes": {"sent": counts.echoes, "lost": counts.unanswered},
            "datagrams": {"sent": counts.datagrams, "lost": counts.lost},
        },
        "throughput_mbit_per_s": round(counts.throughput, 2),
        "broken_connections": counts.broken,
        "reroutes": result.reroutes,
        "faults": [
            {
                "what": fault.what,
                "seconds": move.ready and round(move.ready, 3),
                "from": list(move.before),
                "to": move.after and list(move.after),
            }
            for fault in result.faults
            for move in fault.moves.values()
        ],
        "seconds": round(result.seconds, 1),
        "flawless": result.flawless,
    }
