"""The living Envoys of one folder: the serving one, a successor while it takes over, and replaced ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import structlog

from sidestep.envoy.binary import random_base_id
from sidestep.envoy.command import command
from sidestep.envoy.connections import count_connections
from sidestep.envoy.hot_restart import HotRestartFiles
from sidestep.envoy.options import EnvoyOptions, EnvoyProcess
from sidestep.envoy.process import RunningProcess, command_line, find, start_time
from sidestep.envoy.state import Record, State, StateFile

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Generation:
    """One Envoy, running or just ended."""

    record: Record
    process: RunningProcess
    connections: int | None = None
    empty_before: bool = False
    """True if the count before the last one found no connection either."""
    uncountable: bool = False

    def rank(self) -> tuple[bool, bool, float]:
        """Sorts the serving one first, then a successor, then replaced ones, the latest first."""
        return self.record.replaced_at is not None, self.record.successor, -(self.record.replaced_at or 0)

    def describe(self) -> EnvoyProcess:
        return EnvoyProcess(
            pid=self.record.pid,
            epoch=self.record.epoch,
            draining=self.record.replaced_at is not None,
            connections=self.connections,
        )

    async def count(self, ports: frozenset[int]) -> int | None:
        """Count its connections. None: it cannot be told."""
        try:
            self.connections = await asyncio.to_thread(count_connections, self.record.pid, ports)
        except ProcessLookupError:
            self.connections = 0
        except OSError as error:
            self.connections = None
            if not self.uncountable:
                self.uncountable = True
                _log.warning("cannot count connections of an envoy", pid=self.record.pid, error=str(error))
        return self.connections

    async def is_done(self, ports: frozenset[int], *, maximum_seconds: float) -> bool:
        """True if a replaced Envoy may end: twice in a row it had no connection, or its time is over."""
        empty = await self.count(ports) == 0
        done = empty and self.empty_before
        self.empty_before = empty
        replaced_at = self.record.replaced_at
        return done or (replaced_at is not None and time.time() - replaced_at > maximum_seconds)


class Generations:
    """Starts, remembers and forgets them, and keeps the state file true. `on_end` is called when any has ended."""

    def __init__(self, options: EnvoyOptions, on_end: Callable[[], None]) -> None:
        self._options = options
        self._on_end = on_end
        self._files = HotRestartFiles(options.folder)
        self._state = StateFile(options.folder / "envoy.json")
        self._all: list[Generation] = []
        self._bases: set[int] = set()
        """Chains whose files may exist."""

    @property
    def files(self) -> HotRestartFiles:
        return self._files

    def __iter__(self) -> Iterator[Generation]:
        """The living ones, newest first."""
        return iter([one for one in reversed(self._all) if not one.process.has_ended])

    @property
    def current(self) -> Generation | None:
        """The one that serves (or did until just now)."""
        return self._last(lambda record: record.replaced_at is None and not record.successor)

    @property
    def successor(self) -> Generation | None:
        """The one that is about to take over."""
        return self._last(lambda record: record.successor)

    @property
    def draining(self) -> list[Generation]:
        """Replaced ones that are still alive."""
        return [one for one in self if one.record.replaced_at is not None]

    def start(self, parent: Generation | None = None) -> Generation:
        """Start an Envoy: a fresh one, or the successor of `parent`."""
        base_id = parent.record.base_id if parent else random_base_id()
        epoch = parent.record.epoch + 1 if parent else 0
        bootstrap = self._options.folder / "bootstrap.pb"
        bootstrap.write_bytes(self._options.bootstrap.SerializeToString(deterministic=True))
        self._bases.add(base_id)
        words = command(
            self._options, bootstrap=bootstrap, socket_path=self._files.socket_path, base_id=base_id, epoch=epoch
        )
        process = RunningProcess.spawn(words, self._options.log_path, self._on_end)
        record = Record(
            pid=process.pid, started=process.started, base_id=base_id, epoch=epoch, successor=parent is not None
        )
        generation = Generation(record, process)
        self._all.append(generation)
        self.save()
        return generation

    def promote(self, new: Generation, *, instead_of: Generation | None = None) -> None:
        """`new` serves now."""
        new.record = msgspec.structs.replace(new.record, successor=False)
        if instead_of is not None:
            instead_of.record = msgspec.structs.replace(instead_of.record, replaced_at=time.time())
        self.save()

    def adopt(self) -> None:
        """Take over the Envoys that an earlier supervisor of this folder started."""
        for record in self._state.load().records:
            self._bases.add(record.base_id)
            process = RunningProcess.attach(record.pid, record.started, self._on_end)
            if process is not None:
                self._all.append(Generation(record, process))

    async def end_strays(self) -> None:
        """End Envoys of this folder that the state file does not name: their supervisor died in the wrong moment."""
        known = {one.record.pid for one in self._all}
        for pid in await asyncio.to_thread(find, str(self._files.socket_path)):
            started = start_time(pid)
            words = command_line(pid)
            if pid in known or started is None or "--base-id" not in words:
                continue
            self._bases.add(int(words[words.index("--base-id") + 1]))
            stray = RunningProcess.attach(pid, started, self._on_end)
            if stray is not None:
                _log.warning("ending an envoy that nobody remembers", pid=pid)
                await stray.end(grace_seconds=0.5)

    def forget_ended(self) -> None:
        """Drop those that have ended, and what their chains left."""
        ended = [one for one in self._all if one.process.has_ended]
        self._all = [one for one in self._all if not one.process.has_ended]
        alive = {one.record.base_id for one in self._all}
        for base_id in self._bases - alive:
            self._files.remove(base_id)
        self._bases = alive
        if ended:
            self.save()

    def mark_live(self, generation: Generation) -> None:
        """It was seen to serve."""
        generation.record = msgspec.structs.replace(generation.record, live=True)
        self.save()

    def forget(self, generation: Generation) -> None:
        """Drop a successor that never served."""
        self._all.remove(generation)
        self.save()

    def save(self) -> None:
        """Write the state file."""
        self._state.save(State(records=tuple(one.record for one in self._all if not one.process.has_ended)))

    def leave(self) -> None:
        """Stop watching; all go on."""
        for one in self._all:
            one.process.close()
        self._all.clear()

    def describe(self) -> tuple[EnvoyProcess, ...]:
        return tuple(one.describe() for one in sorted(self, key=Generation.rank))

    def _last(self, wanted: Callable[[Record], bool]) -> Generation | None:
        return next((one for one in reversed(self._all) if wanted(one.record)), None)
