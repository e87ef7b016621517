"""A folder of manifests, watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from sidestep.api.parse import Problem
from sidestep.api.resources import Resources


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is in force, and everything that is wrong."""

    resources: Resources
    problems: tuple[Problem, ...] = ()


class FolderSource:
    """Reads `*.yaml`, `*.yml` and `*.json` in a folder and the folders in it; hidden ones are left alone."""

    def __init__(self, path: Path, *, poll_seconds: float = 5.0) -> None:
        self._path = path
        self._poll_seconds = poll_seconds

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """The state now, then the state after each change; an equal state is not repeated. Never ends by itself."""
        raise NotImplementedError
        yield  # an async generator
