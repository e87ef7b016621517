"""A folder of manifests, watched.

Changes come from the kernel's notifications; a slow poll beside them finds what those miss (network file systems, a
folder that was made or replaced later, exhausted inotify watches).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import structlog
import watchfiles

from sidestep.api.parse import Problem
from sidestep.api.resources import Resources
from sidestep.source.files import FolderReader
from sidestep.source.in_force import InForce, advance

_log = structlog.get_logger(__name__)
_DEBOUNCE_MILLISECONDS = 30
_LONGEST_MILLISECONDS = 300
_SECOND_LOOK_SECONDS = 0.1


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is in force, and everything that is wrong."""

    resources: Resources
    problems: tuple[Problem, ...] = ()


class FolderSource:
    """Reads `*.yaml`, `*.yml` and `*.json` in a folder and the folders in it; hidden ones are left alone.

    The last good version of a resource stays in force while the file has a bad one. Deleting it from the file, or
    deleting the file, removes it. While the folder itself is missing, everything stays as it is.
    """

    def __init__(self, path: Path, *, poll_seconds: float = 5.0) -> None:
        self._path = path
        self._poll_seconds = poll_seconds
        self._reader = FolderReader(path)
        self._in_force = InForce()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """The state now, then the state after each change; an equal state is not repeated. Never ends by itself."""
        watcher = _Watcher(self._path)
        last: Snapshot | None = None
        try:
            while True:
                await watcher.ensure()
                snapshot = await asyncio.to_thread(self._load)
                if snapshot != last:
                    last = snapshot
                    yield snapshot
                await watcher.changed(self._poll_seconds)
        finally:
            await watcher.close()

    def _load(self) -> Snapshot:
        self._in_force = advance(self._in_force, self._reader.read())
        resources = Resources.of(parsed.resource for parsed in self._in_force.resources.values())
        return Snapshot(resources=resources, problems=self._in_force.problems)


class _Watcher:
    """Tells when something in the folder may have changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._identity: tuple[int, int] | None = None
        self._look_again = False
        self._error = ""

    async def ensure(self) -> None:
        """Watch the folder that is at the path now, if there is one."""
        identity = self._identify()
        if identity == self._identity and self._task is not None and not self._task.done():
            return
        await self.close()
        self._identity = identity
        if identity is not None:
            self._task = asyncio.create_task(self._watch(), name=f"watch {self._path}")
            # lets the task begin to watch, so that no change after this call is missed
            await asyncio.sleep(0)

    async def changed(self, poll_seconds: float) -> None:
        """Until a change, or until it is time to look anyway.

        A change is followed by a second look: a file written at once into a new folder comes without a notification.
        """
        seconds = min(_SECOND_LOOK_SECONDS, poll_seconds) if self._look_again else poll_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            self._look_again = False
        else:
            self._look_again = True
        self._event.clear()

    async def close(self) -> None:
        """Stop watching."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        try:
            async for _ in watchfiles.awatch(
                self._path, watch_filter=None, debounce=_LONGEST_MILLISECONDS, step=_DEBOUNCE_MILLISECONDS
            ):
                self._event.set()
        except (OSError, RuntimeError) as error:
            # the poll goes on; `ensure` tries again at the next one
            if str(error) != self._error:
                _log.warning("folder_not_watched", path=str(self._path), error=str(error))
            self._error = str(error)

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino
