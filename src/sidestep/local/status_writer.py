"""Writes what the runtime finds out back into the resources: one task, many changes at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sidestep.api.meta import ResourceKey
from sidestep.local.merge import REDIRECTION, Document
from sidestep.local.store import Store

Change = Callable[[Document], Document | None]
_DEBOUNCE = 0.01


class StatusWriter:
    """A queue of changes to Pod resources; a later status of a pod replaces an earlier one that was not written yet."""

    def __init__(self, store: Store, *, on_written: Callable[[], None]) -> None:
        self._store = store
        self._on_written = on_written
        self._statuses: dict[tuple[ResourceKey, str], dict[str, Any]] = {}
        self._assignments: dict[ResourceKey, tuple[str, str]] = {}
        self._removals: set[tuple[ResourceKey, str]] = set()
        self._expected: Counter[str] = Counter()
        self._wake = asyncio.Event()

    def status(self, key: ResourceKey, uid: str, status: dict[str, Any]) -> None:
        """Write the status of the pod with that uid, if it is still there."""
        self._statuses[key, uid] = status
        self._wake.set()

    def assign(self, key: ResourceKey, *, uid: str, node: str) -> None:
        """Give a new pod its uid and its node."""
        self._assignments[key] = (uid, node)
        self._wake.set()

    def remove(self, key: ResourceKey, uid: str) -> None:
        """The pod ended: its resource goes, unless it was replaced by another pod meanwhile."""
        self._removals.add((key, uid))
        self._wake.set()

    def expect(self, node: str) -> None:
        """A pod is about to be placed there."""
        self._expected[node] += 1

    def pending(self, node: str) -> int:
        """Pods placed on a node in this round, not started yet."""
        return self._expected[node]

    async def annotate(self, key: ResourceKey, uid: str, *, enrolled: bool) -> None:
        """Say in the pod's annotation whether it takes HBONE; returns when that is written."""
        await asyncio.to_thread(self._store.update, key, _for(uid, lambda pod: _annotated(pod, enrolled=enrolled)))
        self._on_written()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_DEBOUNCE)
            self._wake.clear()
            statuses, self._statuses = self._statuses, {}
            assignments, self._assignments = self._assignments, {}
            removals, self._removals = self._removals, set()
            self._expected.clear()
            await asyncio.to_thread(self._write, statuses, assignments, removals)
            self._on_written()

    def _write(
        self,
        statuses: Mapping[tuple[ResourceKey, str], dict[str, Any]],
        assignments: Mapping[ResourceKey, tuple[str, str]],
        removals: set[tuple[ResourceKey, str]],
    ) -> None:
        for key, (uid, node) in assignments.items():
            self._store.update(key, partial(_assigned, uid=uid, node=node))
        for (key, uid), status in statuses.items():
            if (key, uid) not in removals:
                self._store.update(key, _for(uid, partial(_with_status, status=status)))
        for key, uid in removals:
            with self._store.locked():
                pod = self._store.get(key)
                if pod is not None and pod["metadata"].get("uid") == uid:
                    self._store.remove(key)


def _for(uid: str, change: Change) -> Change:
    """Only if the resource is still that pod."""

    def guarded(pod: Document) -> Document | None:
        return change(pod) if pod["metadata"].get("uid") == uid else None

    return guarded


def _with_status(pod: Document, *, status: dict[str, Any]) -> Document:
    return {**pod, "status": status}


def _assigned(pod: Document, *, uid: str, node: str) -> Document:
    metadata = {**pod["metadata"], "uid": pod["metadata"].get("uid") or uid}
    spec = pod.get("spec") or {}
    return {**pod, "metadata": metadata, "spec": {**spec, "nodeName": spec.get("nodeName") or node}}


def _annotated(pod: Document, *, enrolled: bool) -> Document:
    metadata = dict(pod["metadata"])
    annotations = dict(metadata.get("annotations") or {})
    if enrolled:
        annotations[REDIRECTION] = "enabled"
    else:
        annotations.pop(REDIRECTION, None)
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {**pod, "metadata": metadata}
