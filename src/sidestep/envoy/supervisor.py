"""Keeps one Envoy running: starts it, adopts one that runs already, restarts it after a crash, replaces it
without cutting a connection, and ends the replaced one when its last connection has ended.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from sidestep.envoy.admin import AdminClient
from sidestep.envoy.binary import hot_restart_version, validate
from sidestep.envoy.errors import (
    AdminError,
    EnvoyNotFoundError,
    InvalidBootstrapError,
    RestartFailedError,
    RestartRefusedError,
)
from sidestep.envoy.generations import Generation, Generations
from sidestep.envoy.hand_over import hand_over, resume
from sidestep.envoy.options import EnvoyOptions, EnvoyProcess, HandOver
from sidestep.envoy.retry import Retry

_log = structlog.get_logger(__name__)
_POLL_SECONDS = 0.02
_WORKERS_STARTED = "listener_manager.workers_started"
_DRAIN_POLL_SECONDS = 0.5
_GRACE_SECONDS = 2.0
_SOON_SECONDS = 5.0


class Supervisor:
    """Supervises the Envoy of `options.folder`.

    Envoy runs in a session of its own and outlives its supervisor: leaving `run` by cancellation leaves Envoy
    running, and the next supervisor of the same folder adopts it. `stop` ends it.
    """

    def __init__(self, options: EnvoyOptions) -> None:
        self._options = options
        self.admin = AdminClient(Path(options.bootstrap.admin.address.pipe.path))
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        # held by whoever starts or ends a process
        self._lock = asyncio.Lock()
        self._generations = Generations(options, self._wake.set)
        self._adopted = False
        self._retry = Retry()
        self._started_at = 0.0

    async def run(self) -> None:
        """Adopt or start Envoy and supervise it until `stop`."""
        try:
            async with asyncio.TaskGroup() as group:
                drained = group.create_task(self._end_drained())
                while not self._stopping.is_set():
                    self._wake.clear()
                    async with self._lock:
                        await self._ensure_running()
                    await self._wake.wait()
                drained.cancel()
            async with self._lock:  # `stop` may still be waiting for the last one to end
                pass
        finally:
            self._generations.leave()
            self._adopted = False
            await self.admin.close()

    async def ready(self) -> None:
        """Return once Envoy serves with its first configuration."""
        while True:
            current = self._generations.current
            if current is not None and await self._is_live(current):
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def restart(self) -> HandOver:
        """Start a new Envoy that takes over: no connection breaks, none is refused.

        Returns when the new one serves; the old one lives on for its connections. `RestartRefusedError`: nothing
        has happened. `RestartFailedError`: the new one did not come up; the old one serves on, but may have lost
        its admin interface.
        """
        async with self._lock:
            old = await self._check_restart()
            await old.count(self._options.ports)
            new = await hand_over(self._generations, old, self._is_live, seconds=self._options.ready_seconds)
            self._started_at = time.monotonic()
            _log.info("envoy replaced", node=self._options.node_name, old=old.record.pid, new=new.record.pid)
            return HandOver(old=old.describe(), new=new.describe())

    def processes(self) -> tuple[EnvoyProcess, ...]:
        """The living Envoys, the serving one first."""
        return self._generations.describe()

    async def stop(self) -> None:
        """End all generations and remove what they left; `run` returns. Ends also what nobody supervises yet."""
        self._stopping.set()
        self._wake.set()
        async with self._lock:
            await self._adopt()
            await asyncio.gather(*(one.process.end(grace_seconds=_GRACE_SECONDS) for one in self._generations))
            self._generations.forget_ended()
            self.admin.socket.unlink(missing_ok=True)
        self._wake.set()

    async def _adopt(self) -> None:
        if self._adopted:
            return
        await asyncio.to_thread(self._options.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        self._generations.adopt()
        self._adopted = True
        await self._generations.end_strays()
        self._generations.forget_ended()
        for one in self._generations:
            _log.info("envoy adopted", node=self._options.node_name, pid=one.record.pid, epoch=one.record.epoch)

    async def _ensure_running(self) -> None:
        await self._adopt()
        current, successor = self._generations.current, self._generations.successor
        if successor is not None:
            await self._resume(current, successor)
            current = self._generations.current
        if current is not None and not current.process.has_ended:
            self._generations.forget_ended()
            return
        if current is not None:
            _log.error("envoy died", node=self._options.node_name, pid=current.record.pid)
            self._retry = self._retry.after_failure(alive=time.monotonic() - self._started_at)
        self._generations.forget_ended()
        if await self._stopped_within(self._retry.seconds):
            return
        self._start_fresh()

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    def _start_fresh(self) -> None:
        self._started_at = time.monotonic()
        try:
            new = self._generations.start()
        except OSError as error:
            _log.error("envoy does not start", node=self._options.node_name, error=str(error))
            self._retry = self._retry.after_failure(alive=0)
            asyncio.get_running_loop().call_later(max(self._retry.seconds, _POLL_SECONDS), self._wake.set)
            return
        _log.info("envoy started", node=self._options.node_name, pid=new.record.pid)

    async def _is_live(self, generation: Generation) -> bool:
        if generation.process.has_ended:
            return False
        if generation.record.live:
            return True
        try:
            info = await self.admin.server_info()
            if (info.state, info.epoch, info.base_id) != ("LIVE", generation.record.epoch, generation.record.base_id):
                return False
            # in a hand-over this is the moment at which the old one has been told to stop listening
            started = await self.admin.stats(_WORKERS_STARTED)
        except AdminError:
            return False  # it does not listen yet, or the one before still does
        if started.get(_WORKERS_STARTED) != 1:
            return False
        self._generations.mark_live(generation)
        return True

    async def _check_restart(self) -> Generation:
        old = self._generations.current
        if old is None or old.process.has_ended:
            raise RestartRefusedError("Envoy is not running; it is being started anyway")
        draining = self._generations.draining
        if len(draining) >= self._options.maximum_draining:
            names = ", ".join(f"pid {one.record.pid} with {one.connections} connections" for one in draining)
            raise RestartRefusedError(f"{len(draining)} replaced Envoys are still alive ({names}); end one first")
        try:
            async with asyncio.timeout(_SOON_SECONDS):
                await self.ready()
        except TimeoutError:
            raise RestartRefusedError("the running Envoy is not ready; only a ready one can hand over") from None
        await self._check_binary()
        return old

    async def _check_binary(self) -> None:
        """Find out beforehand what would make the new Envoy exit."""
        binary = self._options.binary
        try:
            await validate(self._options.bootstrap, binary=binary, prefix=self._options.command_prefix)
            new = await hot_restart_version(binary)
        except (EnvoyNotFoundError, InvalidBootstrapError) as error:
            raise RestartRefusedError(f"the new Envoy would not start: {error}") from error
        try:
            running = (await self.admin.server_info()).hot_restart_version
        except AdminError:
            return  # after a failed hand-over the running one answers no more; the new one will say
        if running != new:
            raise RestartRefusedError(
                f"the running Envoy's hot restart version is {running}, that of {binary} is {new}: "
                "they cannot hand over to each other"
            )

    async def _resume(self, current: Generation | None, successor: Generation) -> None:
        try:
            await resume(self._generations, current, successor, self._is_live, seconds=self._options.ready_seconds)
        except RestartFailedError as error:
            _log.warning("a hand-over begun before failed", node=self._options.node_name, error=str(error))

    async def _end_drained(self) -> None:
        while True:
            began = time.monotonic()
            for one in self._generations.draining:
                if await one.is_done(self._options.ports, maximum_seconds=self._options.parent_shutdown_seconds):
                    _log.info(
                        "ending a replaced envoy",
                        node=self._options.node_name,
                        pid=one.record.pid,
                        connections=one.connections,
                    )
                    await one.process.end(grace_seconds=_GRACE_SECONDS)
            # counting many sockets takes its time: spend a twentieth of ours on it at most
            await asyncio.sleep(max(_DRAIN_POLL_SECONDS, 20 * (time.monotonic() - began)))
