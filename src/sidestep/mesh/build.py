"""API objects → the mesh model: one pure function."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Resources
from sidestep.mesh.model import Mesh


class MeshSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the whole mesh."""

    trust_domain: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    network: str = ""
    domain: str = "cluster.local"
    root_namespace: str = "istio-system"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a resource, in the manner of Kubernetes' status conditions."""

    resource: ResourceKey
    type: str
    status: bool
    reason: str
    message: str


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """The model, the addresses handed out (give them to the next build), and the conditions."""

    mesh: Mesh
    allocations: Mapping[str, str]
    conditions: tuple[Condition, ...]


def build(resources: Resources, settings: MeshSettings, allocations: Mapping[str, str]) -> BuildResult:
    """The mesh that `resources` describe. Equal arguments give equal results."""
    raise NotImplementedError
