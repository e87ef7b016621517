"""How Istio's resources say what they apply to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sidestep.api import validate
from sidestep.api.meta import Finding, Path, StrictModel


class WorkloadSelector(StrictModel, frozen=True, kw_only=True):
    """Workloads of the resource's namespace that have all these labels; empty: all of them."""

    match_labels: Mapping[str, str] = {}


class LabelsSelector(StrictModel, frozen=True, kw_only=True):
    """The same in the networking API, where the field has another name."""

    labels: Mapping[str, str] = {}


class TargetReference(StrictModel, frozen=True, kw_only=True):
    """A Gateway, GatewayClass, Service or ServiceEntry to which a policy is attached."""

    kind: str
    name: str
    group: str = ""
    namespace: str = ""


_TARGETS = frozenset(
    {
        ("gateway.networking.k8s.io", "Gateway"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("", "Service"),
        ("core", "Service"),
        ("networking.istio.io", "ServiceEntry"),
    }
)


def selector_findings(selector: WorkloadSelector | None, path: Path) -> Iterator[Finding]:
    """Labels without wildcards."""
    if selector is not None:
        yield from validate.labels(selector.match_labels, (*path, "matchLabels"))


def target_findings(target: TargetReference, namespace: str, path: Path) -> Iterator[Finding]:
    """A target that exists in Istio's API, in the policy's own namespace."""
    if (target.group, target.kind) not in _TARGETS:
        yield Finding(
            (*path, "kind"),
            f"{target.kind!r} of group {target.group!r} is no target of policies; use Service (group ''), ServiceEntry "
            "(networking.istio.io), Gateway or GatewayClass (gateway.networking.k8s.io)",
        )
    yield from validate.name(target.name, (*path, "name"))
    if target.namespace and namespace and target.namespace != namespace:
        yield Finding((*path, "namespace"), "a policy is attached within its own namespace; leave it out")
