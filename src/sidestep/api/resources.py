"""All resources at one moment, by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

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
from sidestep.api.meta import Resource, ResourceKey

_T = TypeVar("_T", bound=Resource)
Place = tuple[str, str]
"""(namespace, name); the namespace is empty for kinds without namespaces."""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable; equal if all resources are. Each mapping is in the order of its keys."""

    namespaces: Mapping[Place, Namespace] = {}
    service_accounts: Mapping[Place, ServiceAccount] = {}
    services: Mapping[Place, Service] = {}
    pods: Mapping[Place, Pod] = {}
    deployments: Mapping[Place, Deployment] = {}
    endpoint_slices: Mapping[Place, EndpointSlice] = {}
    workload_entries: Mapping[Place, WorkloadEntry] = {}
    service_entries: Mapping[Place, ServiceEntry] = {}
    peer_authentications: Mapping[Place, PeerAuthentication] = {}
    authorization_policies: Mapping[Place, AuthorizationPolicy] = {}

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Resources:
        """Of several resources with one key, the last stays."""
        found = list(resources)
        return cls(
            namespaces=_of_kind(Namespace, found),
            service_accounts=_of_kind(ServiceAccount, found),
            services=_of_kind(Service, found),
            pods=_of_kind(Pod, found),
            deployments=_of_kind(Deployment, found),
            endpoint_slices=_of_kind(EndpointSlice, found),
            workload_entries=_of_kind(WorkloadEntry, found),
            service_entries=_of_kind(ServiceEntry, found),
            peer_authentications=_of_kind(PeerAuthentication, found),
            authorization_policies=_of_kind(AuthorizationPolicy, found),
        )

    def __iter__(self) -> Iterator[Resource]:
        """Every resource, kind by kind."""
        for field in self.__struct_fields__:
            yield from getattr(self, field).values()

    def __len__(self) -> int:
        return sum(len(getattr(self, field)) for field in self.__struct_fields__)

    def get(self, key: ResourceKey) -> Resource | None:
        """The resource of that key."""
        field = _FIELDS.get(key.kind)
        if field is None:
            return None
        resources: Mapping[Place, Resource] = getattr(self, field)
        return resources.get((key.namespace, key.name))


_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        Namespace.KIND: "namespaces",
        ServiceAccount.KIND: "service_accounts",
        Service.KIND: "services",
        Pod.KIND: "pods",
        Deployment.KIND: "deployments",
        EndpointSlice.KIND: "endpoint_slices",
        WorkloadEntry.KIND: "workload_entries",
        ServiceEntry.KIND: "service_entries",
        PeerAuthentication.KIND: "peer_authentications",
        AuthorizationPolicy.KIND: "authorization_policies",
    }
)


def _of_kind(kind: type[_T], resources: Iterable[Resource]) -> Mapping[Place, _T]:
    found = {(resource.namespace, resource.name): resource for resource in resources if type(resource) is kind}
    return dict(sorted(found.items(), key=lambda item: item[0]))
