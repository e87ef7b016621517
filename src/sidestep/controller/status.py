"""What a person must know: problems in resources, conditions, and what nodes refused. Kept in `status.json`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from sidestep.identity.files import write_atomically
from sidestep.mesh.model import Mesh


class ProblemStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the resources that is not as it must be."""

    severity: str
    file: str
    line: int
    field: str
    message: str
    resource: str = ""
    """`Kind namespace/name`, when that much could be read."""


class ConditionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a resource."""

    resource: str
    type: str
    status: bool
    reason: str
    message: str


class RejectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A resource that a node refused; it keeps its last good version."""

    node: str
    type_url: str
    resource: str
    message: str
    since: dt.datetime


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    workloads: int = 0
    services: int = 0
    policies: int = 0
    problems: tuple[ProblemStatus, ...] = ()
    conditions: tuple[ConditionStatus, ...] = ()
    rejections: tuple[RejectionStatus, ...] = ()
    failure: str = ""
    """Why the last build failed; the mesh of the build before is in force."""


class StatusBoard:
    """The present status; `save` writes it when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved: Status | None = None
        self._rejections: Mapping[tuple[str, str, str], RejectionStatus] = {}
        self._status = Status()

    @property
    def status(self) -> Status:
        """As it is now."""
        ordered = tuple(rejection for _, rejection in sorted(self._rejections.items()))
        return msgspec.structs.replace(self._status, rejections=ordered)

    def built(self, mesh: Mesh, problems: tuple[ProblemStatus, ...], conditions: tuple[ConditionStatus, ...]) -> None:
        """A mesh is in force."""
        self._status = Status(
            workloads=len(mesh.workloads),
            services=len(mesh.services),
            policies=len(mesh.policies),
            problems=problems,
            conditions=conditions,
        )

    def failed(self, problems: tuple[ProblemStatus, ...], reason: str) -> None:
        """A build failed, the mesh before it stays in force."""
        self._status = msgspec.structs.replace(self._status, problems=problems, failure=reason)

    def rejected(self, node: str, type_url: str, resource: str, message: str) -> None:
        """A node refused a resource."""
        rejection = RejectionStatus(
            node=node, type_url=type_url, resource=resource, message=message, since=dt.datetime.now(dt.UTC)
        )
        self._rejections = {**self._rejections, (node, type_url, resource): rejection}

    def accepted(self, node: str, type_url: str, resource: str) -> None:
        """A node took a resource: what it refused before is mended."""
        key = (node, type_url, resource)
        if key in self._rejections:
            self._rejections = {each: value for each, value in self._rejections.items() if each != key}

    def removed(self, type_url: str, resources: Iterable[str]) -> None:
        """These resources are gone: nobody can refuse them any more."""
        gone = frozenset(resources)
        if self._rejections and gone:
            kept = self._rejections.items()
            self._rejections = {key: each for key, each in kept if key[1] != type_url or key[2] not in gone}

    def json(self) -> bytes:
        """The status as JSON."""
        return msgspec.json.format(msgspec.json.encode(self.status), indent=2)

    def save(self) -> bool:
        """Write the file if it would differ; blocking. Gives whether it wrote."""
        status = self.status
        if status == self._saved:
            return False
        write_atomically(self._path, msgspec.json.format(msgspec.json.encode(status), indent=2))
        self._saved = status
        return True
