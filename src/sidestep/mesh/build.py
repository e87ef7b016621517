"""API objects → the mesh model: one pure function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Resources
from sidestep.mesh.addresses import canonical_addresses
from sidestep.mesh.allocation import allocate
from sidestep.mesh.definitions import ServiceDefinition
from sidestep.mesh.membership import Membership
from sidestep.mesh.model import Mesh, Workload
from sidestep.mesh.peer_authentication import Mode, PeerPolicies, PeerPolicy
from sidestep.mesh.policies import PolicyDefinition, authorization_policy
from sidestep.mesh.service_entries import allocation_keys, endpoints_of, services_of
from sidestep.mesh.services import choose, kubernetes_service
from sidestep.mesh.settings import Condition, MeshSettings
from sidestep.mesh.slices import PodName, SliceEndpoints, slice_endpoints
from sidestep.mesh.workloads import entry_endpoint, pod_workload, workload_entry

__all__ = ["BuildResult", "Condition", "MeshSettings", "build"]


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """The model, the addresses handed out (give them to the next build), and the conditions."""

    mesh: Mesh
    allocations: Mapping[str, str]
    """By `namespace/name/host` of a ServiceEntry: its IPv4 address."""
    conditions: tuple[Condition, ...]


def build(resources: Resources, settings: MeshSettings, allocations: Mapping[str, str]) -> BuildResult:
    """The mesh that `resources` describe.

    Equal arguments give equal results, and a resource that did not change gives the same workload, service or policy
    again, as long as what selects it did not change either. Never fails: what cannot be used is left out, and a
    condition says so.
    """
    wanted = (key for entry in resources.service_entries.values() for key in allocation_keys(entry))
    allocated = allocate(wanted, allocations)
    services, refused = _services(resources, settings, allocated)
    policies, told = _authorization_policies(resources, settings)
    peers = _peer_policies(resources, settings)
    membership = Membership(services, policies, peers, settings)
    workloads = {workload.uid: workload for workload in _workloads(resources, membership, settings)}
    return BuildResult(
        mesh=Mesh(
            workloads=workloads,
            services={key: definition.service for key, definition in services.items()},
            policies={policy.key: policy for policy in (*(item.policy for item in policies), *peers.policies())},
        ),
        allocations=allocated,
        conditions=tuple(sorted((*refused, *told, *peers.conditions), key=_order)),
    )


def _order(condition: Condition) -> tuple[ResourceKey, str]:
    return (condition.resource, condition.message)


def _services(
    resources: Resources, settings: MeshSettings, allocated: Mapping[str, str]
) -> tuple[Mapping[str, ServiceDefinition], list[Condition]]:
    namespaces = resources.namespaces
    found: list[ServiceDefinition | Condition] = [
        kubernetes_service(service, namespaces.get(("", namespace)), settings)
        for (namespace, _), service in resources.services.items()
    ]
    for (namespace, _), entry in resources.service_entries.items():
        found.extend(services_of(entry, namespaces.get(("", namespace)), allocated, settings))
    definitions = [item for item in found if isinstance(item, ServiceDefinition)]
    conditions = [item for item in found if isinstance(item, Condition)]
    chosen = choose(definitions)
    for definition in definitions:
        winner = chosen[definition.key]
        if winner.source != definition.source:
            message = f"{definition.service.hostname} is already taken by {winner.source.kind} {winner.source.name}"
            conditions.append(
                Condition(resource=definition.source, type="Accepted", status=False, reason="Conflict", message=message)
            )
    return chosen, conditions


def _authorization_policies(
    resources: Resources, settings: MeshSettings
) -> tuple[list[PolicyDefinition], list[Condition]]:
    results = [authorization_policy(policy, settings) for policy in resources.authorization_policies.values()]
    return [policy for policy, _ in results if policy is not None], [condition for _, condition in results]


def _peer_policies(resources: Resources, settings: MeshSettings) -> PeerPolicies:
    return PeerPolicies(
        (
            PeerPolicy(
                name=resource.metadata.name,
                namespace=resource.metadata.namespace,
                created=resource.metadata.creation_timestamp,
                selector=resource.spec.selector.match_labels if resource.spec.selector else {},
                mode=Mode(resource.spec.mtls.mode),
                port_modes={int(port): Mode(tls.mode) for port, tls in resource.spec.port_level_mtls.items()},
            )
            for resource in resources.peer_authentications.values()
        ),
        settings.root_namespace,
    )


# --- workloads -----------------------------------------------------------------------------------------------------


def _workloads(resources: Resources, membership: Membership, settings: MeshSettings) -> Iterator[Workload]:
    sliced = _sliced(resources, membership.services, settings)
    nothing: Mapping[str, tuple[()]] = {}
    for name, pod in resources.pods.items():
        workload = pod_workload(pod, membership, settings, sliced.pods.get(name, nothing))
        if workload is not None:
            yield workload
    for entry in resources.workload_entries.values():
        workload = workload_entry(entry, membership, settings)
        if workload is not None:
            yield workload
    yield from sliced.workloads.values()
    yield from _entry_endpoints(resources, membership, settings)


def _entry_endpoints(resources: Resources, membership: Membership, settings: MeshSettings) -> Iterator[Workload]:
    for entry in resources.service_entries.values():
        for section, endpoint, hosts in endpoints_of(entry):
            candidates = (membership.services.get(f"{entry.metadata.namespace}/{host}") for host in hosts)
            serving = [definition for definition in candidates if definition and definition.source == entry.key]
            if not serving:
                continue
            workload = entry_endpoint(section, entry.metadata, endpoint, serving, membership, settings)
            if workload is not None:
                yield workload


def _sliced(resources: Resources, services: Mapping[str, ServiceDefinition], settings: MeshSettings) -> SliceEndpoints:
    if not resources.endpoint_slices:
        return SliceEndpoints(pods={}, workloads={})
    pods_by_address: dict[str, PodName] = {}
    for name, pod in resources.pods.items():
        if not pod.spec.host_network:
            for address in canonical_addresses(pod.addresses):
                pods_by_address[address] = name
    return slice_endpoints(resources.endpoint_slices.values(), services, pods_by_address, settings)
