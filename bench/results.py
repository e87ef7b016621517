"""What a run of the benchmark gives, and the medians over its rounds. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from bench.loads import LOADS, PATHS, Load, Outcome, Path
from bench.usage import Memory


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one path, once."""

    load: str
    path: str
    round: int
    seconds: float
    outcome: Outcome
    cpu: Mapping[str, float]
    """CPU seconds, by process of the mesh."""
    others: float
    """Processors that things took which have nothing to do with the benchmark; interrupts included."""


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of one process."""

    process: str
    before: Memory | None
    """Before the first load."""
    after: Memory | None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the benchmark was run."""

    rounds: int
    seconds: int
    concurrency: int
    """Worker threads of each Envoy; 0 is the product's own choice."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was run."""

    processors: int
    model: str
    kernel: str
    sidestep: str
    envoy: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    started: str
    """UTC, ISO 8601."""
    settings: Settings
    machine: Machine
    first_answers: Mapping[str, float]
    """Milliseconds of the first request, by path."""
    samples: tuple[Sample, ...]
    memory: tuple[Footprint, ...]


class Median(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one path, over the rounds: each figure is the median of its own."""

    load: Load
    path: Path
    rate: float
    p50: float | None
    p99: float | None
    errors: int
    """The sum, not the median: not one is expected."""
    cores: Mapping[str, float]
    """Processors kept busy, by process of the mesh."""
    others: float

    @property
    def cost(self) -> float:
        """CPU microseconds of the mesh for each request or connection, for bulk for each megabit."""
        units = self.rate * 1000 if self.load.tool == "iperf3" else self.rate
        return sum(self.cores.values()) / units * 1e6 if units else 0.0


Medians = Mapping[tuple[str, str], Median]
"""By the names of load and path."""


def medians(samples: Iterable[Sample]) -> Medians:
    """Those of all loads and paths that were measured."""
    grouped: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        grouped.setdefault((sample.load, sample.path), []).append(sample)
    loads = {load.name: load for load in LOADS}
    paths = {path.name: path for path in PATHS}
    return {(load, path): _median(loads[load], paths[path], found) for (load, path), found in grouped.items()}


def ratio(found: Medians, load: str, path: Path, value: Callable[[Median], float | None]) -> float | None:
    """A figure of the path by that of its baseline; None when either is missing."""
    own, base = found.get((load, path.name)), found.get((load, path.baseline))
    numerator = None if own is None else value(own)
    denominator = None if base is None else value(base)
    return numerator / denominator if numerator is not None and denominator else None


def _median(load: Load, path: Path, samples: Sequence[Sample]) -> Median:
    names = sorted({name for sample in samples for name in sample.cpu})
    return Median(
        load=load,
        path=path,
        rate=statistics.median(sample.outcome.rate for sample in samples),
        p50=_present(sample.outcome.p50 for sample in samples),
        p99=_present(sample.outcome.p99 for sample in samples),
        errors=sum(sample.outcome.errors for sample in samples),
        cores={
            name: statistics.median(sample.cpu.get(name, 0.0) / sample.seconds for sample in samples) for name in names
        },
        others=statistics.median(sample.others for sample in samples),
    )


def _present(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return statistics.median(given) if given else None
