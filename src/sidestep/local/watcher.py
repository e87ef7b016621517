"""Wakes the runtime when a resource file changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import watchfiles

_DEBOUNCE_MILLISECONDS = 20
_POLL_SECONDS = 2.0


class FolderWatcher:
    """A level-triggered signal: set by the kernel's notice, by `poke`, and every few seconds in any case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = asyncio.Event()
        self._changed.set()

    def poke(self) -> None:
        self._changed.set()

    async def next_change(self) -> None:
        """Returns when there may be something new; at once the first time."""
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    async def run(self) -> None:
        """For ever. The folder must exist."""
        stop = asyncio.Event()
        try:
            async for _ in watchfiles.awatch(
                self._folder,
                debounce=_DEBOUNCE_MILLISECONDS,
                step=10,
                stop_event=stop,
                recursive=True,
                watch_filter=_is_resource,
                rust_timeout=1000,
            ):
                self._changed.set()
        finally:
            stop.set()


def _is_resource(_: watchfiles.Change, path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".yaml") and not name.startswith(".")
