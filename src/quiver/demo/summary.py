"""What the demo tells people: a summary of the main job, one key's way, and how to use a network that serves."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from quiver.demo.job import JobResult
from quiver.demo.network import DemoNetwork
from quiver.demo.plan import COVERED, PairPlan, Plan
from quiver.demo.report import keys_per_second, latency, serve_object, tallies, total_of, vendors_of
from quiver.demo.trace import Step

__all__ = ["print_job", "print_network", "print_trace"]


def print_job(result: JobResult, console: Console) -> None:
    """What the network was, what went over which path, and what it took."""
    route = result.plan.main.route
    for title, table in (
        (_title(result.plan), _network_table(result.plan)),
        ("Keys, both directions", _pairs_table(result)),
        (f"The main pair, {route[0]} to {route[-1]}", _facts_table(result)),
    ):
        console.print(f"[bold]{title}[/bold]", table, "", sep="\n")
    reasons = [f"pair {name}: {reason}" for name, tally in tallies(result) for reason in tally.reasons]
    for line in dict.fromkeys(reasons):
        console.print(f"Something failed, {line}", style="yellow", markup=False)
    if result.flawless:
        total = sum(tally.delivered for _, tally in tallies(result))
        console.print(f"All {total} keys are at both their SAEs, equal, each once.", style="green")
    else:
        console.print("Not all keys that were asked for are at both their SAEs, equal, each once.", style="red")


def _title(plan: Plan) -> str:
    return f"{len(plan.nodes)} trusted nodes, {len(plan.links)} QKD links (seed {plan.seed})"


def _network_table(plan: Plan) -> Table:
    table = _table("QKD link", "vendor", "km")
    for link in plan.links:
        table.add_row(" ── ".join(link.ends), link.vendor, f"{link.length_km:.1f}")
    return table


def _pairs_table(result: JobResult) -> Table:
    table = _table("SAEs", "path and vendors", "hops", "keys", "differ", "twice", "buffer now")
    for pair in result.plan.pairs:
        total, there = total_of(result, pair), pair.entries[0]
        table.add_row(
            f"{pair.master}, {pair.slave}",
            _way(result.plan, pair),
            str(pair.hops),
            f"{total.delivered} of {total.requested}",
            str(total.mismatched),
            str(total.duplicated),
            f"{_kib(result.last.ready.get(there.key, 0))} of {_kib(there.depth)} KiB" if there.depth else "none",
        )
    return table


def _way(plan: Plan, pair: PairPlan) -> str:
    """The nodes of a pair's path, with the vendor of each link between them."""
    steps = (f" ─{vendor}→ {node}" for vendor, node in zip(vendors_of(plan, pair), pair.route[1:], strict=True))
    return pair.route[0] + "".join(steps)


def _facts_table(result: JobResult) -> Table:
    plan, pad, tls = result.plan, result.pad, result.tls
    burned = ", ".join(f"{count} bytes ({cause})" for cause, count in result.last.burned.items())
    rows = {
        "keys": f"{result.bulk.delivered} of {result.options.size} bits, {keys_per_second(result.bulk) or 0:.0f} each second",
        "up to 50 keys": f"{_ms(latency(result.bulk, 0.5))} median, {_ms(latency(result.bulk, 0.99))} p99",
        "one key, buffer filled": f"{_ms(latency(result.single, 0.5))} median: one round trip between the end nodes",
        "one key, no buffer": f"{_ms(latency(result.unbuffered, 0.5))} median: primed over as many hops when it is asked for",
        "link pad per key bit and hop": (
            f"{_figure(pad.bulk)} in bulk, {_figure(pad.single)} single, {_figure(pad.single_unbuffered)} without a buffer"
        ),
        "pad burned": burned or "none",
        "buffer": f"{_kib(plan.main.depth)} KiB, which covers {COVERED:.0f} s of the load and more",
        "between nodes": f"{tls.version}, {tls.group}, {tls.signature} (as negotiated)",
        "time": f"{result.seconds:.1f} s from the start",
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    for row in rows.items():
        table.add_row(*row)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="italic")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _kib(count: int) -> str:
    return f"{count / 1024:.0f}"


def _ms(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds:.1f} ms"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def print_trace(steps: Iterable[Step], console: Console) -> None:
    """One key's way, a line for each message."""
    console.print("\nOne key's way, message by message (digests only)", style="bold")
    for number, step in enumerate(steps, start=1):
        console.print(f"{number:3}. {step.milliseconds:8.1f} ms  {step.text}", markup=False, soft_wrap=True)


def print_network(network: DemoNetwork, console: Console) -> None:
    """What runs, and how to get a key from it."""
    found = serve_object(network)
    table = _table("SAE", "node", "KME")
    for sae in found["saes"]:
        table.add_row(sae["id"], sae["agent"], sae["kme_url"])
    console.print(f"[bold]{_title(network.plan)}[/bold]", _network_table(network.plan), "", table, sep="\n")
    master, slave = found["saes"][:2]
    console.print(
        f"\nA key for {master['id']} and {slave['id']}:\n\n"
        f"  curl --cert {master['certificate']} --key {master['private_key']} \\\n"
        f"    --cacert {master['ca']} \\\n"
        f"    '{master['kme_url']}/api/v1/keys/{slave['id']}/enc_keys?size=256'\n\n"
        f"State: {network.files.root}. Ctrl-C ends everything.",
        markup=False,
        soft_wrap=True,
    )
