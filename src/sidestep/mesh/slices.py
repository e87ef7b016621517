"""EndpointSlices of Services that select no pods: their endpoints are pods by name, or addresses of anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from sidestep.api.kubernetes.endpoint_slice import Endpoint, EndpointSlice
from sidestep.mesh.addresses import canonical_address
from sidestep.mesh.definitions import ServiceDefinition
from sidestep.mesh.model import Locality, Port, Workload
from sidestep.mesh.settings import MeshSettings

PodName = tuple[str, str]


class SliceEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """What the slices say."""

    pods: Mapping[PodName, Mapping[str, tuple[Port, ...]]]
    """By (namespace, name) of a pod: the services that it serves, by key."""
    workloads: Mapping[str, Workload]
    """By uid: endpoints that are no pods."""


def slice_endpoints(
    slices: Iterable[EndpointSlice],
    services: Mapping[str, ServiceDefinition],
    pods_by_address: Mapping[str, PodName],
    settings: MeshSettings,
) -> SliceEndpoints:
    """The endpoints of Services without selector; slices of others are ignored, the pods themselves say it better."""
    pods: dict[PodName, dict[str, tuple[Port, ...]]] = {}
    workloads: dict[str, Workload] = {}
    for item in slices:
        definition = _service_of(item, services, settings)
        if definition is None:
            continue
        ports = tuple(_ports(item, definition))
        for endpoint in item.endpoints:
            pod = _pod_of(item, endpoint, pods_by_address)
            if pod is not None:
                pods.setdefault(pod, {})[definition.key] = ports
                continue
            for workload in _workloads(item, endpoint, definition, ports, settings):
                workloads[workload.uid] = workload
    return SliceEndpoints(pods=pods, workloads=workloads)


def _service_of(
    item: EndpointSlice, services: Mapping[str, ServiceDefinition], settings: MeshSettings
) -> ServiceDefinition | None:
    name, namespace = item.service_name, item.metadata.namespace
    definition = services.get(f"{namespace}/{name}.{namespace}.svc.{settings.domain}")
    if definition is None or definition.selector or definition.source.kind != "Service":
        return None
    return definition


def _ports(item: EndpointSlice, definition: ServiceDefinition) -> Iterator[Port]:
    """The slice's port of the same name is the target."""
    numbers = {port.name: port.port for port in item.ports if port.protocol == "TCP"}
    for candidate in definition.ports:
        target = numbers.get(candidate.name)
        if target:
            yield Port(
                service_port=candidate.port.service_port,
                target_port=target,
                application_protocol=candidate.port.application_protocol,
            )


def _pod_of(item: EndpointSlice, endpoint: Endpoint, pods_by_address: Mapping[str, PodName]) -> PodName | None:
    reference = endpoint.target_ref
    if reference is not None and reference.kind == "Pod":
        return (reference.namespace or item.metadata.namespace, reference.name)
    found = (pods_by_address.get(canonical_address(address) or "") for address in endpoint.addresses)
    return next((pod for pod in found if pod is not None), None)


def _workloads(
    item: EndpointSlice,
    endpoint: Endpoint,
    definition: ServiceDefinition,
    ports: tuple[Port, ...],
    settings: MeshSettings,
) -> Iterator[Workload]:
    """One for each address."""
    namespace, name = item.metadata.namespace, item.metadata.name
    for text in endpoint.addresses:
        address = canonical_address(text)
        yield Workload(
            uid=f"{settings.cluster_id}/discovery.k8s.io/EndpointSlice/{namespace}/{name}/{address or text}",
            name=name,
            namespace=namespace,
            addresses=() if address is None else (address,),
            hostname=text if address is None else "",
            network=settings.network,
            cluster_id=settings.cluster_id,
            trust_domain=settings.trust_domain,
            node=endpoint.node_name,
            canonical_name=definition.service.name,
            canonical_revision="latest",
            workload_name=name,
            services={definition.key: ports},
            healthy=endpoint.ready,
            locality=Locality(zone=endpoint.zone),
        )
