"""What processes use, from /proc."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)
"""Columns of /proc/stat that are not work: idle and iowait."""
_GUEST = 8
"""From here on the columns of /proc/stat repeat what others hold."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory in MiB."""

    now: float
    peak: float


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds spent so far."""

    processes: Mapping[int, float]
    """By pid, all threads, in user mode and in the kernel."""
    children: float
    """Of the benchmark's own ended children."""
    machine: float
    """Of all processors."""


def take(pids: Iterable[int]) -> Snapshot:
    """As it is now; a process that has ended is left out."""
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = {pid: seconds for pid in pids if (seconds := _seconds(pid)) is not None}
    return Snapshot(processes=spent, children=own.ru_utime + own.ru_stime, machine=_machine())


def spent(before: Snapshot, after: Snapshot) -> Mapping[int, float]:
    """CPU seconds by pid between two snapshots, of processes that are in both."""
    return {pid: after.processes[pid] - seconds for pid, seconds in before.processes.items() if pid in after.processes}


def by_others(before: Snapshot, after: Snapshot) -> float:
    """CPU seconds of everything that is in neither snapshot: noise, and interrupts, which belong to nobody."""
    ours = sum(spent(before, after).values()) + after.children - before.children
    return max(0.0, after.machine - before.machine - ours)


def memory(pid: int) -> Memory | None:
    """None when the process has ended."""
    try:
        return parse_memory(Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def parse_memory(text: str) -> Memory | None:
    """Of /proc/PID/status; a process that has ended but was not waited for has none."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if not {"VmRSS", "VmHWM"} <= fields.keys():
        return None
    now, peak = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Memory(now=now, peak=peak)


def parse_process(text: str) -> float:
    """CPU seconds of /proc/PID/stat, whose second field may contain anything."""
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def parse_machine(text: str) -> float:
    """CPU seconds of /proc/stat."""
    columns = [int(value) for value in text.splitlines()[0].split()[1:]]
    return sum(value for index, value in enumerate(columns[:_GUEST]) if index not in _IDLE) / _TICKS


def _seconds(pid: int) -> float | None:
    try:
        return parse_process(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def _machine() -> float:
    return parse_machine(Path("/proc/stat").read_text())
