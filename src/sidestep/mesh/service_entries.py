"""ServiceEntries → services of the mesh and the workloads that their endpoints are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from sidestep.api.istio.service_entry import ServiceEntry, ServiceEntryPort
from sidestep.api.istio.workload_entry import WorkloadEntrySpec
from sidestep.api.kubernetes.namespace import Namespace
from sidestep.mesh.addresses import canonical_block
from sidestep.mesh.allocation import ipv6_of
from sidestep.mesh.balancing import load_balancing
from sidestep.mesh.definitions import PortDefinition, ServiceDefinition
from sidestep.mesh.model import BalancingMode, LoadBalancing, NetworkAddress, Port, Service
from sidestep.mesh.protocols import application_protocol
from sidestep.mesh.settings import Condition, MeshSettings

ALLOCATE_LABEL = "networking.istio.io/enable-autoallocate-ip"


def allocation_keys(entry: ServiceEntry) -> Iterator[str]:
    """The hosts that want an address of ours: those of entries that have none, unless the label forbids it.

    Wildcards get none, since no name would be answered with it, and so do entries without resolution, whose
    connections go where the application aims.
    """
    if entry.spec.addresses or entry.spec.resolution == "NONE":
        return
    if entry.metadata.labels.get(ALLOCATE_LABEL, "true").lower() == "false":
        return
    for host in entry.spec.hosts:
        if "*" not in host:
            yield _allocation_key(entry, host)


def services_of(
    entry: ServiceEntry, namespace: Namespace | None, allocations: Mapping[str, str], settings: MeshSettings
) -> Iterator[ServiceDefinition | Condition]:
    """One service for each of its hosts, or why there is none."""
    if entry.spec.resolution == "DYNAMIC_DNS":
        yield _refused(entry, "Unsupported", "resolution DYNAMIC_DNS needs a waypoint")
        return
    ports = tuple(_port(port) for port in entry.spec.ports if port.protocol.upper() != "UDP")
    selector = entry.spec.workload_selector.labels if entry.spec.workload_selector else {}
    for host in entry.spec.hosts:
        yield ServiceDefinition(
            service=Service(
                name=entry.metadata.name,
                namespace=entry.metadata.namespace,
                hostname=host,
                addresses=tuple(_addresses(entry, host, allocations, settings)),
                ports=tuple(definition.port for definition in ports),
                subject_alt_names=tuple(entry.spec.subject_alt_names),
                load_balancing=_load_balancing(entry, namespace),
                canonical=False,
                private=_is_private(entry),
            ),
            source=entry.key,
            created=entry.metadata.creation_timestamp,
            ports=ports,
            selector=selector,
        )


def endpoints_of(entry: ServiceEntry) -> Iterator[tuple[str, WorkloadEntrySpec, tuple[str, ...]]]:
    """(section of the uid, endpoint, hosts that it serves) of the endpoints that the entry itself has.

    Resolution by DNS without endpoints means the hosts themselves.
    """
    spec = entry.spec
    if spec.workload_selector is not None:
        return
    seen: Counter[str] = Counter()
    for endpoint in spec.endpoints:
        seen[endpoint.address] += 1
        count = seen[endpoint.address]
        yield endpoint.address if count == 1 else f"{endpoint.address}~{count}", endpoint, spec.hosts
    if not spec.endpoints and spec.resolution.startswith("DNS"):
        for host in spec.hosts:
            if "*" not in host:
                yield host, WorkloadEntrySpec(address=host), (host,)


def _is_private(entry: ServiceEntry) -> bool:
    return bool(entry.spec.export_to) and set(entry.spec.export_to) <= {".", entry.metadata.namespace}


def _addresses(
    entry: ServiceEntry, host: str, allocations: Mapping[str, str], settings: MeshSettings
) -> Iterable[NetworkAddress]:
    for given in entry.spec.addresses:
        block = canonical_block(given)
        if block is None:
            continue
        address, _, length = block.partition("/")
        single = int(length) == (128 if ":" in address else 32)
        yield NetworkAddress(address=address, network=settings.network, prefix_length=None if single else int(length))
    allocated = allocations.get(_allocation_key(entry, host))
    if allocated is not None:
        for address in (allocated, ipv6_of(allocated)):
            yield NetworkAddress(address=address, network=settings.network)


def _load_balancing(entry: ServiceEntry, namespace: Namespace | None) -> LoadBalancing:
    if entry.spec.resolution == "NONE":
        return LoadBalancing(mode=BalancingMode.PASSTHROUGH)
    return load_balancing(
        annotations=entry.metadata.annotations,
        namespace_annotations=namespace.metadata.annotations if namespace else {},
    )


def _port(port: ServiceEntryPort) -> PortDefinition:
    return PortDefinition(
        name=port.name,
        port=Port(
            service_port=port.number,
            target_port=port.target_port or port.number,
            application_protocol=application_protocol(port.protocol or "TCP", port.name),
        ),
    )


def _allocation_key(entry: ServiceEntry, host: str) -> str:
    return f"{entry.metadata.namespace}/{entry.metadata.name}/{host}"


def _refused(entry: ServiceEntry, reason: str, message: str) -> Condition:
    return Condition(resource=entry.key, type="Accepted", status=False, reason=reason, message=message)
