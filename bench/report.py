"""The benchmark's tables. Pure, but for `show`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

import msgspec
from bench.loads import LOADS, PATHS, Load
from bench.results import Median, Medians, Report, medians, ratio
from rich.console import Console
from rich.table import Table

from sidestep.cli.tables import table

_Value = Callable[[Median], float | None]
_FIGURES: Sequence[tuple[str, _Value]] = (
    ("p50 µs", lambda median: median.p50),
    ("p99 µs", lambda median: median.p99),
    ("rate", lambda median: median.rate),
)


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """A table of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(report: Report) -> tuple[Grid, ...]:
    """All tables of a report."""
    found = medians(report.samples)
    return (
        _speed(found, report),
        Grid(
            title="CPU that the mesh used (1.00 is one processor), and for each request, connection or megabit",
            header=_cpu_header(found),
            rows=tuple(_cpu(found)),
        ),
        Grid(
            title="Resident memory, MiB",
            header=("process", "before", "after", "peak"),
            rows=tuple(
                (
                    each.process,
                    f"{each.before.now:.1f}" if each.before else "",
                    f"{each.after.now:.1f}" if each.after else "ended",
                    f"{each.after.peak:.1f}" if each.after else "",
                )
                for each in report.memory
            ),
        ),
    )


def show(report: Report, stream: TextIO) -> None:
    """Prints the tables: in colour on a terminal, plainly elsewhere."""
    console = Console(file=stream, highlight=False, soft_wrap=True)
    for grid in grids(report):
        if stream.isatty():
            console.print(_rich(grid))
        else:
            stream.write(f"{grid.title}\n{table(grid.header, grid.rows)}\n\n")
    stream.writelines(line + "\n" for line in notes(report))


def notes(report: Report) -> Iterator[str]:
    """What one must know to read the tables."""
    machine, settings = report.machine, report.settings
    workers = settings.concurrency or "the default number of"
    yield (
        f"Medians of {settings.rounds} rounds of {settings.seconds} s each, {workers} workers; Envoy {machine.envoy}, "
        f"{machine.processors} processors ({machine.model}), Linux {machine.kernel}."
    )
    firsts = ", ".join(f"{name} {value:.1f} ms" for name, value in report.first_answers.items())
    yield f"First request, everything discovered on demand: {firsts}."
    found = medians(report.samples).values()
    noise = max((median.others for median in found), default=0.0)
    yield f"Everything else on this machine took up to {noise:.2f} processors meanwhile, interrupts included."
    for median in found:
        if median.errors:
            yield f"ERRORS: {median.errors} with {median.load.title}, {median.path.title} ({median.path.name})."


def failed(report: Report) -> bool:
    """Whether anything went wrong while measuring."""
    return any(sample.outcome.errors for sample in report.samples)


def _speed(found: Medians, report: Report) -> Grid:
    header = ["load", "figure"]
    for path in PATHS:
        header += [_column(path.name), *(["ratio"] if path.baseline != path.name else [])]
    rows = tuple(row for load in LOADS for row in _speed_rows(found, load))
    return Grid(title=f"Speed, {report.started}", header=tuple(header), rows=rows)


def _column(path: str) -> str:
    return {"direct": "direct", "hbone": "HBONE", "near-direct": "direct here", "near": "same node"}[path]


def _speed_rows(found: Medians, load: Load) -> Iterator[tuple[str, ...]]:
    title = load.title
    for name, value in _FIGURES:
        cells: list[str] = []
        for path in PATHS:
            median = found.get((load.name, path.name))
            cells.append(number(None if median is None else value(median)))
            if path.baseline != path.name:
                quotient = ratio(found, load.name, path, value)
                cells.append("" if quotient is None else f"{quotient:.2f}")
        if any(cells):
            yield (title, f"{load.unit}/s" if name == "rate" else name, *cells)
            title = ""


def _processes(found: Medians) -> list[str]:
    return sorted({name for median in found.values() for name in median.cores})


def _cpu_header(found: Medians) -> tuple[str, ...]:
    return ("load", "path", *_processes(found), "µs each")


def _cpu(found: Medians) -> Iterator[tuple[str, ...]]:
    names = _processes(found)
    for load in LOADS:
        for path in PATHS:
            median = found.get((load.name, path.name))
            if median is not None and path.baseline != path.name:
                cores = (f"{median.cores.get(name, 0.0):.2f}" for name in names)
                yield (load.title, path.title, *cores, f"{median.cost:.1f}")


def number(value: float | None) -> str:
    """Three digits are as many as a benchmark knows."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rich(grid: Grid) -> Table:
    result = Table(title=grid.title, title_justify="left", title_style="bold", header_style="bold", box=None)
    for index, name in enumerate(grid.header):
        text = index == 0 or name in {"figure", "path"}
        result.add_column(name, justify="left" if text else "right", style="cyan" if name == "ratio" else None)
    for row in grid.rows:
        result.add_row(*row)
    return result
