"""Which endpoints clients of a service prefer, from its fields and annotations."""

from __future__ import annotations

from collections.abc import Mapping

from sidestep.mesh.model import BalancingMode, LoadBalancing, Scope

DISTRIBUTION_ANNOTATION = "networking.istio.io/traffic-distribution"

_ZONE = (Scope.NETWORK, Scope.REGION, Scope.ZONE)
_PREFERENCES = {
    "preferclose": _ZONE,
    "prefersamezone": _ZONE,
    "prefersamenode": (*_ZONE, Scope.SUBZONE, Scope.NODE),
    "any": (),
}


def load_balancing(
    *,
    local_only: bool = False,
    distribution: str | None = None,
    annotations: Mapping[str, str],
    namespace_annotations: Mapping[str, str],
    unhealthy_too: bool = False,
) -> LoadBalancing:
    """`internalTrafficPolicy: Local` first, then `trafficDistribution`, then the annotation, then the namespace's."""
    if local_only:
        return LoadBalancing(mode=BalancingMode.STRICT, preference=(Scope.NODE,), unhealthy_too=unhealthy_too)
    values = (
        distribution,
        annotations.get(DISTRIBUTION_ANNOTATION),
        namespace_annotations.get(DISTRIBUTION_ANNOTATION),
    )
    known = (_PREFERENCES[value.lower()] for value in values if value and value.lower() in _PREFERENCES)
    preference = next(known, ())
    mode = BalancingMode.FAILOVER if preference else BalancingMode.ANY
    return LoadBalancing(mode=mode, preference=preference, unhealthy_too=unhealthy_too)
