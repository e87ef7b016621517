"""The kinds that there are, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from sidestep.api.istio.authorization_policy import AuthorizationPolicy
from sidestep.api.istio.peer_authentication import PeerAuthentication
from sidestep.api.istio.service_entry import ServiceEntry
from sidestep.api.istio.workload_entry import WorkloadEntry
from sidestep.api.kubernetes.deployment import Deployment
from sidestep.api.kubernetes.endpoint_slice import EndpointSlice
from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.pod import Pod
from sidestep.api.kubernetes.service import Service
from sidestep.api.kubernetes.service_account import ServiceAccount
from sidestep.api.meta import Resource


class KindInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One kind."""

    kind: str
    group: str
    """Empty for Kubernetes' core."""
    versions: tuple[str, ...]
    """Those that are read, the one that is written first."""
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool
    type: type[Resource]

    @property
    def api_versions(self) -> tuple[str, ...]:
        return tuple(f"{self.group}/{version}" if self.group else version for version in self.versions)


def _info(of: type[Resource], plural: str, versions: tuple[str, ...], short_names: tuple[str, ...] = ()) -> KindInfo:
    return KindInfo(
        kind=of.KIND,
        group=of.API_VERSION.rpartition("/")[0],
        versions=versions,
        plural=plural,
        short_names=short_names,
        namespaced=of.NAMESPACED,
        type=of,
    )


_V1 = ("v1",)
_ALL = (
    _info(Namespace, "namespaces", _V1, ("ns",)),
    _info(ServiceAccount, "serviceaccounts", _V1, ("sa",)),
    _info(Service, "services", _V1, ("svc",)),
    _info(Pod, "pods", _V1, ("po",)),
    _info(Deployment, "deployments", _V1, ("deploy",)),
    _info(EndpointSlice, "endpointslices", _V1),
    _info(WorkloadEntry, "workloadentries", ("v1", "v1beta1", "v1alpha3"), ("we",)),
    _info(ServiceEntry, "serviceentries", ("v1", "v1beta1", "v1alpha3"), ("se",)),
    _info(PeerAuthentication, "peerauthentications", ("v1", "v1beta1"), ("pa",)),
    _info(AuthorizationPolicy, "authorizationpolicies", ("v1", "v1beta1"), ("ap",)),
)

KINDS: Mapping[tuple[str, str], KindInfo] = MappingProxyType(
    {(api_version, info.kind): info for info in _ALL for api_version in info.api_versions}
)
"""By (apiVersion, kind), all versions that are read."""

_BY_WORD: Mapping[str, KindInfo] = MappingProxyType(
    {word.lower(): info for info in _ALL for word in (info.kind, info.plural, *info.short_names)}
)


def kinds() -> tuple[KindInfo, ...]:
    """Each kind once."""
    return _ALL


def lookup(word: str) -> KindInfo | None:
    """The kind that a person means by `Pod`, `pods`, `po`, `deployments.apps`; None if there is none."""
    name, _, group = word.lower().partition(".")
    info = _BY_WORD.get(name)
    if info is None:
        return None
    suffixes = {"", info.group, *(f"{version}.{info.group}".rstrip(".") for version in info.versions)}
    return info if group in suffixes else None
