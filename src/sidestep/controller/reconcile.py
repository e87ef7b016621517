"""Folder → mesh → xDS cache, once for every change of the folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec
import structlog

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Problem
from sidestep.api.resources import Resources
from sidestep.controller.allocations import AllocationFile
from sidestep.controller.certificates import Placement
from sidestep.controller.metrics import ControllerMetrics
from sidestep.controller.publish import Changes, changes, publish
from sidestep.controller.status import ConditionStatus, ProblemStatus, StatusBoard
from sidestep.mesh.build import BuildResult, Condition, MeshSettings, build
from sidestep.mesh.model import Mesh
from sidestep.source.folder import Snapshot
from sidestep.xds.cache import Cache

Build = Callable[[Resources, MeshSettings, Mapping[str, str]], BuildResult]

_log = structlog.get_logger(__name__)


class _Built(msgspec.Struct, frozen=True, kw_only=True):
    """One build and what it changes."""

    result: BuildResult
    changes: tuple[Changes, ...]


class Reconciler:
    """Keeps the cache and the placement of identities equal to the resources."""

    def __init__(
        self,
        *,
        settings: MeshSettings,
        cache: Cache,
        placement: Placement,
        board: StatusBoard,
        allocations: AllocationFile,
        metrics: ControllerMetrics,
        build_mesh: Build = build,
    ) -> None:
        self._build_mesh = build_mesh
        self._settings = settings
        self._cache = cache
        self._placement = placement
        self._board = board
        self._file = allocations
        self._metrics = metrics
        self._allocations: Mapping[str, str] | None = None
        self._mesh = Mesh()
        self.published = asyncio.Event()
        """Set once a mesh is in force."""

    async def run(self, snapshots: AsyncIterator[Snapshot]) -> None:
        """Until the source ends."""
        async for snapshot in snapshots:
            await self._reconcile(snapshot)

    async def _reconcile(self, snapshot: Snapshot) -> None:
        start = time.monotonic()
        problems = tuple(_problem_status(problem) for problem in snapshot.problems)
        try:
            built = await asyncio.to_thread(self._build, snapshot)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one translation must not end the whole mesh
            _log.exception("build_failed")
            self._metrics.failed()
            self._board.failed(problems, f"{type(error).__name__}: {error}")
        else:
            self._take(built, problems, start)
        await asyncio.to_thread(self._board.save)

    def _build(self, snapshot: Snapshot) -> _Built:
        """In a thread: a large mesh takes a while, and the streams go on."""
        if self._allocations is None:
            self._allocations = self._file.load()
        result = self._build_mesh(snapshot.resources, self._settings, self._allocations)
        # before anybody sees an address it must be on disk, or a crash could give it to somebody else
        self._file.save(result.allocations)
        self._allocations = result.allocations
        return _Built(result=result, changes=changes(self._mesh, result.mesh))

    def _take(self, built: _Built, problems: tuple[ProblemStatus, ...], start: float) -> None:
        mesh = built.result.mesh
        self._mesh = mesh
        self._placement.update(mesh)  # first: a node that sees its new workload asks for its certificate at once
        changed = publish(self._cache, built.changes)
        for each in built.changes:
            self._board.removed(each.type_url, each.removed)
        self._board.built(mesh, problems, tuple(_condition_status(each) for each in built.result.conditions))
        seconds = time.monotonic() - start
        self._metrics.published(mesh, changed=changed, problems=len(problems), seconds=seconds)
        _log.info(
            "mesh_published",
            changed=changed,
            problems=len(problems),
            seconds=round(seconds, 3),
            workloads=len(mesh.workloads),
            services=len(mesh.services),
            policies=len(mesh.policies),
        )
        self.published.set()


def _problem_status(problem: Problem) -> ProblemStatus:
    return ProblemStatus(
        severity=problem.severity,
        file=problem.file,
        line=problem.line,
        field=problem.field,
        message=problem.message,
        resource=_shown(problem.key),
    )


def _condition_status(condition: Condition) -> ConditionStatus:
    return ConditionStatus(
        resource=_shown(condition.resource),
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
    )


def _shown(key: ResourceKey | None) -> str:
    if key is None:
        return ""
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"
