"""`down`: nothing of an instance stays on the host, whatever died before. Blocking.

Processes are found by the marker in their environment and by being in one of the instance's network namespaces, not
by what was written down about them, so nothing is missed and nobody else is hit.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from sidestep.local import namespaces, network
from sidestep.local.claim import CONTENTS, is_claimed, release
from sidestep.local.errors import OperatingSystemError
from sidestep.local.layout import INSTANCE_VARIABLE, Layout
from sidestep.local.processes import is_alive

_GRACE = 2.0
_PATIENCE = 10.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Envoy puts it
_KEPT = ("controller", "resources")


def find_processes(instance_id: str) -> frozenset[int]:
    """Pids of everything that the instance started; not this process and not those that started it."""
    marker = f"{INSTANCE_VARIABLE}={instance_id}".encode()
    marked = {pid for pid in _all_pids() if marker in _environment(pid).split(b"\0")}
    inside = namespaces.processes_in(namespaces.with_prefix(f"ss{instance_id}-"))
    return frozenset(pid for pid in (marked | inside) - _ancestors() if is_alive(pid))


def clean(layout: Layout, *, say: Callable[[str], None] = lambda _: None) -> bool:
    """End every process, remove every namespace and link; False if there was nothing."""
    instance_id = layout.instance_id
    pids = find_processes(instance_id)
    found = bool(pids)
    if pids:
        say(f"ending {len(pids)} process{'es' * (len(pids) > 1)}")
        shared = _shared_memory_of(pids)
        _end_all(instance_id, pids)
        for path in shared:
            path.unlink(missing_ok=True)
    for path in _orphaned_shared_memory(layout):
        path.unlink(missing_ok=True)
    if network.leftovers(instance_id):
        found = True
        say("removing network namespaces and links")
        network.remove(instance_id)
    left = network.leftovers(instance_id)
    if left:
        raise OperatingSystemError(f"could not remove {', '.join(left)}")
    return found


def erase(layout: Layout, *, keep: bool) -> None:
    """Empty the state folder of what the runtime made. `keep`: the certificate authority and the resources stay."""
    if not is_claimed(layout):
        return
    for name in CONTENTS:
        path = layout.state_dir / name
        if keep and name in _KEPT:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not keep:
        release(layout)
        with suppress(OSError):
            layout.state_dir.rmdir()


def _end_all(instance_id: str, pids: frozenset[int]) -> None:
    """SIGTERM, then SIGKILL; again for what was started meanwhile."""
    _signal(pids, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline and (pids := find_processes(instance_id)):
        time.sleep(0.03)
    deadline = time.monotonic() + _PATIENCE
    while pids := find_processes(instance_id):
        if time.monotonic() > deadline:
            raise OperatingSystemError(f"the processes {sorted(pids)} do not end, even by SIGKILL")
        _signal(pids, signal.SIGKILL)
        time.sleep(0.03)


def _signal(pids: frozenset[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _ancestors() -> frozenset[int]:
    found = set()
    pid = os.getpid()
    while pid > 0:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            break
    return frozenset(found)


def _shared_memory_of(pids: frozenset[int]) -> frozenset[Path]:
    """Envoy's memory for hot restart, which it leaves behind when it is killed."""
    found = set()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                path = line.split(maxsplit=5)[-1].removesuffix(" (deleted)")
                if path.startswith(f"{_SHARED_MEMORY}/envoy_shared_memory_"):
                    found.add(Path(path))
    return frozenset(found)


def _orphaned_shared_memory(layout: Layout) -> frozenset[Path]:
    """The same of Envoys that were dead already: their agents noted the base id of each under their node's folder."""
    noted: set[int] = set()
    for path in layout.nodes.glob("**/*.json"):
        with suppress(OSError, msgspec.DecodeError):
            noted |= set(_base_ids(msgspec.json.decode(path.read_bytes())))
    # Envoy multiplies: it keeps room for ten processes of one base id
    names = {f"envoy_shared_memory_{10 * base_id}" for base_id in noted}
    return frozenset(path for path in _SHARED_MEMORY.glob("envoy_shared_memory_*") if path.name in names)


def _base_ids(value: object) -> Iterator[int]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "base_id" and isinstance(inner, int):
                yield inner
            yield from _base_ids(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _base_ids(inner)
