"""Processes that are kept alive: started, registered, restarted with backoff when they die."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sidestep.local import children
from sidestep.local.backoff import Backoff
from sidestep.local.files import write_atomically
from sidestep.local.layout import INSTANCE_VARIABLE, Layout


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What `status` tells of a process. Kept in `run/processes/`."""

    role: str
    """controller, node, envoy, dns, pod or runtime."""
    name: str
    pid: int
    since: float
    """Seconds since the epoch at which it started."""
    node: str = ""
    namespace: str = ""
    pod: str = ""
    container: str = ""
    restarts: int = 0
    metrics: str = ""
    """Where its metrics are scraped, with the network namespace when that is not the host's."""
    admin: str = ""

    @property
    def file_name(self) -> str:
        parts = (self.role, self.namespace, self.name)
        return "~".join(part for part in parts if part) + ".json"


@dataclass(frozen=True, kw_only=True)
class ProcessPlan:
    """A process that must run as long as the runtime does."""

    role: str
    name: str
    command: tuple[str, ...]
    log: Path
    network_namespace: str | None = None
    node: str = ""
    metrics: str = ""
    admin: str = ""


class Registry:
    """The folder of process records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, record: ProcessRecord) -> None:
        write_atomically(self._folder / record.file_name, msgspec.json.encode(record))

    def discard(self, record: ProcessRecord) -> None:
        (self._folder / record.file_name).unlink(missing_ok=True)

    def alive(self) -> tuple[ProcessRecord, ...]:
        """The records of processes that run now."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            with suppress(FileNotFoundError):
                record = msgspec.json.decode(path.read_bytes(), type=ProcessRecord)
                if is_alive(record.pid):
                    found.append(record)
        return tuple(found)


def is_alive(pid: int) -> bool:
    """True for a process that runs; False for a dead or a zombie one."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def environment_of(layout: Layout, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every process of the instance: the marker by which `down` finds it."""
    environment = dict(os.environ if base is None else base)
    environment[INSTANCE_VARIABLE] = layout.instance_id
    environment.setdefault("PYTHONUNBUFFERED", "1")
    return environment


async def keep_running(
    plan: ProcessPlan,
    layout: Layout,
    registry: Registry,
    *,
    on_restart: Callable[[ProcessPlan, int], None],
) -> None:
    """Run it for ever; cancelled, the process is left alone. `on_restart` hears the exit code before each restart."""
    backoff = Backoff()
    restarts = 0
    while True:
        started = time.monotonic()
        child = await children.start(
            plan.command,
            environment=environment_of(layout),
            log=plan.log,
            namespace=plan.network_namespace,
        )
        registry.add(
            ProcessRecord(
                role=plan.role,
                name=plan.name,
                pid=child.pid,
                since=child.started,
                node=plan.node,
                restarts=restarts,
                metrics=plan.metrics,
                admin=plan.admin,
            )
        )
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            child.abandon()
            raise
        backoff = backoff.after_failure(time.monotonic() - started)
        on_restart(plan, code)
        restarts += 1
        await asyncio.sleep(backoff.seconds)
