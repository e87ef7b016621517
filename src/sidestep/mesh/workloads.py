"""Pods, WorkloadEntries and endpoints of ServiceEntries → workloads of the mesh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidestep.api.istio.workload_entry import WorkloadEntry, WorkloadEntrySpec
from sidestep.api.kubernetes.pod import Pod
from sidestep.api.meta import ObjectMeta
from sidestep.mesh.addresses import canonical_address, canonical_addresses
from sidestep.mesh.definitions import ServiceDefinition, ports_by_name, ports_by_number
from sidestep.mesh.enrolment import tunnel_of
from sidestep.mesh.membership import Membership
from sidestep.mesh.model import Locality, Port, Workload
from sidestep.mesh.naming import canonical_name, canonical_revision, workload_of
from sidestep.mesh.settings import MeshSettings

_NETWORK_LABEL = "topology.istio.io/network"
_REGION_LABEL = "topology.kubernetes.io/region"
_ZONE_LABEL = "topology.kubernetes.io/zone"
_SUBZONE_LABEL = "topology.istio.io/subzone"


def pod_workload(
    pod: Pod, membership: Membership, settings: MeshSettings, told: Mapping[str, tuple[Port, ...]]
) -> Workload | None:
    """The pod's workload; None while it has no address, and when it has finished.

    `told` are services that name the pod as their endpoint (EndpointSlices), with its ports.
    """
    metadata, spec = pod.metadata, pod.spec
    addresses = canonical_addresses(pod.addresses)
    if not addresses or pod.finished:
        return None
    labels = metadata.labels
    tunnel, native = tunnel_of(labels, metadata.annotations)
    kind, workload_name = workload_of(metadata.name, labels, metadata.owner_references)
    named = _named_ports(pod)
    services = membership.services_of(metadata.namespace, labels, lambda definition: ports_by_number(definition, named))
    return Workload(
        uid=f"{settings.cluster_id}//Pod/{metadata.namespace}/{metadata.name}",
        name=metadata.name,
        namespace=metadata.namespace,
        addresses=addresses,
        network=labels.get(_NETWORK_LABEL, settings.network),
        cluster_id=settings.cluster_id,
        trust_domain=settings.trust_domain,
        service_account=pod.service_account,
        node=spec.node_name,
        canonical_name=canonical_name(labels, workload_name),
        canonical_revision=canonical_revision(labels),
        workload_type=kind,
        workload_name=workload_name,
        tunnel_protocol=tunnel,
        native_tunnel=native,
        services={**services, **told},
        authorization_policies=membership.policies_of(metadata.namespace, labels),
        # One that is being deleted serves its connections, but gets no new ones.
        healthy=pod.ready and metadata.deletion_timestamp is None,
        locality=_locality_of_labels(labels),
        host_network=spec.host_network,
    )


def workload_entry(entry: WorkloadEntry, membership: Membership, settings: MeshSettings) -> Workload | None:
    """The workload of a WorkloadEntry; None if it has no address."""
    metadata = entry.metadata
    # Services select by the labels of the metadata, older manifests have them in the spec.
    labels = {**entry.spec.labels, **metadata.labels}
    return endpoint_workload(
        f"{settings.cluster_id}/networking.istio.io/WorkloadEntry/{metadata.namespace}/{metadata.name}",
        metadata,
        entry.spec,
        labels=labels,
        services=membership.services_of(
            metadata.namespace, labels, lambda definition: ports_by_name(definition, entry.spec.ports)
        ),
        policies=membership.policies_of(metadata.namespace, labels),
        settings=settings,
    )


def entry_endpoint(
    section: str,
    metadata: ObjectMeta,
    endpoint: WorkloadEntrySpec,
    serving: Iterable[ServiceDefinition],
    membership: Membership,
    settings: MeshSettings,
) -> Workload | None:
    """The workload of an endpoint of the ServiceEntry that has `metadata`."""
    return endpoint_workload(
        f"{settings.cluster_id}/networking.istio.io/ServiceEntry/{metadata.namespace}/{metadata.name}/{section}",
        metadata,
        endpoint,
        labels=endpoint.labels,
        services={definition.key: ports_by_name(definition, endpoint.ports) for definition in serving},
        policies=membership.policies_of(metadata.namespace, endpoint.labels),
        settings=settings,
    )


def endpoint_workload(
    uid: str,
    metadata: ObjectMeta,
    endpoint: WorkloadEntrySpec,
    *,
    labels: Mapping[str, str],
    services: Mapping[str, tuple[Port, ...]],
    policies: tuple[str, ...],
    settings: MeshSettings,
) -> Workload | None:
    """A workload outside the cluster. Its address may be a DNS name; a Unix socket is none."""
    address = canonical_address(endpoint.address)
    if not endpoint.address or endpoint.address.startswith("unix:"):
        return None
    tunnel, native = tunnel_of(labels, metadata.annotations)
    return Workload(
        uid=uid,
        name=metadata.name,
        namespace=metadata.namespace,
        addresses=() if address is None else (address,),
        hostname=endpoint.address if address is None else "",
        network=endpoint.network or labels.get(_NETWORK_LABEL, settings.network),
        cluster_id=settings.cluster_id,
        trust_domain=settings.trust_domain,
        service_account=endpoint.service_account or "default",
        canonical_name=canonical_name(labels, metadata.name),
        canonical_revision=canonical_revision(labels),
        workload_name=metadata.name,
        tunnel_protocol=tunnel,
        native_tunnel=native,
        services=dict(services),
        authorization_policies=policies,
        locality=_locality_of_path(endpoint.locality),
        capacity=endpoint.weight or 1,
    )


def _named_ports(pod: Pod) -> dict[str, int]:
    """TCP only; of two containers with the same name the first counts."""
    named: dict[str, int] = {}
    for container in pod.spec.containers:
        for port in container.ports:
            if port.name and port.protocol == "TCP":
                named.setdefault(port.name, port.container_port)
    return named


def _locality_of_labels(labels: Mapping[str, str]) -> Locality:
    if _REGION_LABEL not in labels and _ZONE_LABEL not in labels:
        return _NOWHERE
    return Locality(
        region=labels.get(_REGION_LABEL, ""),
        zone=labels.get(_ZONE_LABEL, ""),
        subzone=labels.get(_SUBZONE_LABEL, ""),
    )


def _locality_of_path(path: str) -> Locality:
    """`region/zone/subzone`, the last ones optional."""
    region, zone, subzone, *_ = (*path.split("/"), "", "")
    return Locality(region=region, zone=zone, subzone=subzone)


_NOWHERE = Locality()
