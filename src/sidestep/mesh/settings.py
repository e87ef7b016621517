"""What the construction of the mesh is told besides the resources, and what it tells about them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from sidestep.api.meta import ResourceKey

NEWEST = datetime.max.replace(tzinfo=UTC)
"""Stands for the age of a resource that has no date, where the oldest wins."""


class MeshSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the whole mesh."""

    trust_domain: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    network: str = ""
    domain: str = "cluster.local"
    """Suffix of service names: `name.namespace.svc.<domain>`."""
    root_namespace: str = "istio-system"
    """Policies of this namespace hold for the whole mesh."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a resource, in the manner of Kubernetes' status conditions."""

    resource: ResourceKey
    type: str
    """`Accepted`, or for an AuthorizationPolicy Istio's `ZtunnelAccepted` and `WaypointAccepted`."""
    status: bool
    reason: str
    """CamelCase, for programs."""
    message: str
    """For people."""
