"""Which endpoints a connection to a service may use, and which of them first. Pure.

The rule is ambient's: an endpoint's rank is the number of leading scopes of the service's routing preference in which
it agrees with the source. STRICT keeps only those that agree in all, FAILOVER prefers higher ranks, without a mode all
are equal. Endpoints that are not ready are left out unless the service publishes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sidestep.mesh.model import BalancingMode, LoadBalancing, Locality, Port, Scope, Service, Workload


class NodeLocality(msgspec.Struct, frozen=True, kw_only=True):
    """Where a connection starts, when all that matters is the node."""

    node: str = ""
    locality: Locality = Locality()
    network: str = ""
    cluster_id: str = ""


class RankedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that serves the port: 0 is the priority used first, weights are relative within a priority."""

    workload: Workload
    target_port: int
    priority: int
    weight: int


def ranked_endpoints(
    service: Service, port: Port, workloads: Iterable[Workload], source: Workload | NodeLocality
) -> tuple[RankedEndpoint, ...]:
    """The endpoints of `service` at `port`, best priority first, then by uid.

    Priorities are dense: 0, 1, … without gaps. `workloads` may hold ones that do not serve it; they are ignored. An
    endpoint whose target port is not known (a named port that its pod lacks) is left out, and so are those that cannot
    be dialled and those of capacity 0.
    """
    balancing = service.load_balancing
    strict = balancing.mode is BalancingMode.STRICT
    ranks: list[tuple[int, Workload, int]] = []
    for workload in workloads:
        target = target_port(service, port, workload)
        if not target or not _is_usable(workload, balancing):
            continue
        rank = _rank(balancing.preference, workload, source)
        if strict and rank < len(balancing.preference):
            continue
        ranks.append((rank, workload, target))
    if balancing.mode is not BalancingMode.FAILOVER:
        ranks = [(0, workload, target) for _, workload, target in ranks]
    return _prioritised(ranks)


def target_port(service: Service, port: Port, workload: Workload) -> int:
    """The port at which `workload` serves `port` of `service`; 0 if it does not."""
    for candidate in workload.services.get(service.key, ()):
        if candidate.service_port == port.service_port:
            return candidate.target_port or port.target_port
    return 0


def _is_usable(workload: Workload, balancing: LoadBalancing) -> bool:
    reachable = workload.addresses or workload.hostname or workload.network_gateway
    return bool(reachable) and workload.capacity > 0 and (workload.healthy or balancing.unhealthy_too)


def _prioritised(ranks: Sequence[tuple[int, Workload, int]]) -> tuple[RankedEndpoint, ...]:
    present = sorted({rank for rank, _, _ in ranks}, reverse=True)
    priority_of = {rank: priority for priority, rank in enumerate(present)}
    endpoints = [
        RankedEndpoint(workload=workload, target_port=target, priority=priority_of[rank], weight=workload.capacity)
        for rank, workload, target in ranks
    ]
    return tuple(sorted(endpoints, key=lambda endpoint: (endpoint.priority, endpoint.workload.uid)))


def _rank(preference: Sequence[Scope], workload: Workload, source: Workload | NodeLocality) -> int:
    """How many leading scopes agree."""
    for rank, scope in enumerate(preference):
        if _place(scope, workload) != _place(scope, source):
            return rank
    return len(preference)


def _place(scope: Scope, where: Workload | NodeLocality) -> str:
    match scope:
        case Scope.REGION:
            return where.locality.region
        case Scope.ZONE:
            return where.locality.zone
        case Scope.SUBZONE:
            return where.locality.subzone
        case Scope.NODE:
            return where.node
        case Scope.CLUSTER:
            return where.cluster_id
        case Scope.NETWORK:
            return where.network
