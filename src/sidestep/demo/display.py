"""What the demo shows: tables and excerpts, on a terminal or as plain text."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from sidestep.demo import shop
from sidestep.demo.findings import Finding
from sidestep.demo.frames import Evidence
from sidestep.demo.mesh import LoadReport
from sidestep.demo.traffic import Pair, Workload

_PLAIN_WIDTH = 120
_EXCERPT_WIDTH = 60
_EXCERPT_LINES = 4
_PRINTABLE = set(string.ascii_letters + string.digits + string.punctuation + " ")


def console() -> Console:
    """Standard output; lines of a fixed width when nobody watches."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def heading(text: str) -> RenderableType:
    """The start of a step."""
    return Padding(Rule(f"[bold]{text}", align="left", style="dim"), (1, 0, 0, 0))


def paragraph(text: str) -> RenderableType:
    """Some words of explanation."""
    return Padding(Text.from_markup(text), (0, 2), expand=False)


def nodes(workloads: Iterable[Workload]) -> RenderableType:
    """Which pod is where."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    ordered = sorted(workloads, key=lambda workload: (workload.node, workload.label))
    for node, members in groupby(ordered, key=lambda workload: workload.node):
        table.add_row(Text(node, style="bold"), ", ".join(workload.label for workload in members))
    return Padding(table, (0, 2), expand=False)


def pairs(found: Sequence[Pair], trust_domain: str, *, width: int) -> RenderableType:
    """Every pair that talks, who each proved to be, how, and how long it took; `width` is that of the console."""
    prefix = "" if width >= _PLAIN_WIDTH else f"spiffe://{trust_domain}/"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("who talks", no_wrap=True)
    table.add_column(f"who they proved to be\n{prefix}…" if prefix else "who they proved to be", no_wrap=True)
    table.add_column("on the wire", no_wrap=True)
    table.add_column("times", justify="right", no_wrap=True)
    table.add_column("median\nms", justify="right", no_wrap=True)
    for pair in sorted(found, key=_order):
        proved = pair.verified_source if pair.path == "hbone" else pair.source_identities
        table.add_row(
            f"{pair.source}\n  → {pair.destination}",
            Text(f"{_short(proved, prefix)}\n{_short(pair.destination_identities, prefix)}", style="cyan"),
            _wire(pair),
            str(pair.connections) + (f"\n[red]{pair.failed} failed[/red]" if pair.failed else ""),
            f"{pair.median_ms:.0f}" if pair.median_ms >= 1 else "< 1",
        )
    return Padding(table, (0, 0, 0, 2), expand=False)


def load(report: LoadReport, *, when: str) -> RenderableType:
    """One line about whole pages."""
    failed = f"[red]{report.failed} failed[/red]" if report.failed else "none failed"
    return paragraph(f"{when}: {report.requests} pages asked for, {failed}, median {report.median_ms:.1f} ms a page")


def evidence(found: Evidence, *, interface: str) -> RenderableType:
    """What was read on the wire, and a piece of it."""
    name = shop.REQUEST_TEXT.decode()
    times = {0: "not once", 1: "once"}.get(found.found, f"{found.found} times")
    colour = "red" if found.found else "green"
    summary = (
        f"{found.packets} packets, {found.bytes:,} bytes, crossed the bridge {interface} between the nodes.\n"
        f"“{name}” occurs [bold {colour}]{times}[/] in them."
    )
    parts = [paragraph(summary)]
    if found.excerpt is not None:
        segment = found.excerpt
        route = f"{segment.source} → {segment.destination}, port {segment.destination_port}:"
        parts += [
            paragraph(f"[dim]for example, {route}[/dim]"),
            Padding(_excerpt(segment.payload), (0, 4), expand=False),
        ]
    return Group(*parts)


def verdict(findings: Iterable[Finding]) -> RenderableType:
    """One line a finding."""
    lines = Table.grid(padding=(0, 1))
    for finding in findings:
        mark = Text("✓", style="bold green") if finding.good else Text("✗", style="bold red")
        lines.add_row(mark, Text(finding.text))
    return Padding(lines, (0, 2), expand=False)


def logs(ends: Mapping[str, Sequence[str]]) -> RenderableType:
    """The ends of log files, each under its name."""
    parts = [Text(f"{name}\n" + "".join(f"    {line}\n" for line in lines)) for name, lines in ends.items() if lines]
    return Padding(Group(*parts), (0, 2), expand=False)


def printable(payload: bytes) -> list[str]:
    """The first lines of a payload, as a person would read them: a dot for what is not text."""
    text = payload.decode("latin-1").replace("\r\n", "\n")
    lines = []
    for line in text.split("\n"):
        shown = "".join(character if character in _PRINTABLE else "·" for character in line)
        lines += [shown[i : i + _EXCERPT_WIDTH] for i in range(0, len(shown), _EXCERPT_WIDTH)]
    return lines[:_EXCERPT_LINES]


def _excerpt(payload: bytes) -> Text:
    text = Text("\n".join(printable(payload)), style="dim")
    text.highlight_words([shop.REQUEST_TEXT.decode()], style="bold red")
    return text


def _order(pair: Pair) -> tuple[int, str]:
    """As a request goes through the shop."""
    ends = (pair.source, pair.destination)
    return (shop.PAIRS.index(ends) if ends in shop.PAIRS else len(shop.PAIRS), pair.path)


def _wire(pair: Pair) -> Text:
    if pair.path == "hbone":
        how = Text(f"mutual {' '.join(sorted(pair.tls_versions)).replace('TLSv', 'TLS ') or 'TLS'}", style="green")
    elif pair.path == "same-node":
        how = Text("no wire: one node", style="green")
    else:
        how = Text("plain text", style="bold red")
    where = (
        pair.source_node
        if pair.source_node == pair.destination_node
        else f"{pair.source_node} → {pair.destination_node}"
    )
    return Text.assemble(how, "\n", (where, "dim"))


def _short(identities: Iterable[str], prefix: str) -> str:
    return ", ".join(sorted(identity.removeprefix(prefix) for identity in identities)) or "nobody"
