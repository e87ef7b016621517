"""Kubernetes Services → services of the mesh, and the choice among those of one hostname."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.service import Service as KubernetesService
from sidestep.api.kubernetes.service import ServicePort
from sidestep.mesh.addresses import canonical_addresses
from sidestep.mesh.balancing import load_balancing
from sidestep.mesh.definitions import PortDefinition, ServiceDefinition
from sidestep.mesh.model import IpFamilies, NetworkAddress, Port, Service
from sidestep.mesh.protocols import application_protocol
from sidestep.mesh.settings import Condition, MeshSettings


def kubernetes_service(
    resource: KubernetesService, namespace: Namespace | None, settings: MeshSettings
) -> ServiceDefinition | Condition:
    """The service, or why it is none of the mesh's."""
    metadata, spec = resource.metadata, resource.spec
    if spec.type == "ExternalName":
        return Condition(
            resource=resource.key,
            type="Accepted",
            status=False,
            reason="ExternalName",
            message="left to DNS: applications resolve the external name, which the mesh then takes as any address",
        )
    ports = tuple(_port(port) for port in spec.ports if port.protocol == "TCP")
    service = Service(
        name=metadata.name,
        namespace=metadata.namespace,
        hostname=f"{metadata.name}.{metadata.namespace}.svc.{settings.domain}",
        addresses=tuple(
            NetworkAddress(address=address, network=settings.network)
            for address in canonical_addresses(resource.addresses)
        ),
        ports=tuple(definition.port for definition in ports),
        load_balancing=load_balancing(
            local_only=spec.internal_traffic_policy == "Local",
            distribution=spec.traffic_distribution,
            annotations=metadata.annotations,
            namespace_annotations=namespace.metadata.annotations if namespace else {},
            unhealthy_too=spec.publish_not_ready_addresses,
        ),
        ip_families=_families(spec.ip_families),
        canonical=True,
    )
    return ServiceDefinition(
        service=service,
        source=resource.key,
        created=metadata.creation_timestamp,
        ports=ports,
        selector=spec.selector,
    )


def choose(candidates: Iterable[ServiceDefinition]) -> Mapping[str, ServiceDefinition]:
    """By key, the ones that count, `canonical` set on one service of each hostname.

    A Kubernetes Service wins over ServiceEntries of its hostname, else the oldest wins; a private one is never
    canonical.
    """
    by_key: dict[str, ServiceDefinition] = {}
    by_hostname: dict[str, list[str]] = {}
    for candidate in sorted(candidates, key=lambda definition: (not _is_service(definition), definition.age)):
        if candidate.key not in by_key:
            by_key[candidate.key] = candidate
            by_hostname.setdefault(candidate.service.hostname, []).append(candidate.key)
    for keys in by_hostname.values():
        public = [key for key in keys if not by_key[key].service.private]
        for key in keys:
            definition = by_key[key]
            canonical = key in public[:1]
            if definition.service.canonical is not canonical:
                service = msgspec.structs.replace(definition.service, canonical=canonical)
                by_key[key] = msgspec.structs.replace(definition, service=service)
    return by_key


def _is_service(definition: ServiceDefinition) -> bool:
    return definition.source.kind == "Service"


def _port(port: ServicePort) -> PortDefinition:
    target = port.target_port if port.target_port is not None else port.port
    named = target if isinstance(target, str) else ""
    return PortDefinition(
        name=port.name,
        target_name=named,
        port=Port(
            service_port=port.port,
            target_port=0 if isinstance(target, str) else target,
            application_protocol=application_protocol(port.app_protocol, port.name),
        ),
    )


def _families(families: Iterable[str]) -> IpFamilies:
    match sorted(families):
        case ["IPv4"]:
            return IpFamilies.IPV4_ONLY
        case ["IPv6"]:
            return IpFamilies.IPV6_ONLY
        case ["IPv4", "IPv6"]:
            return IpFamilies.DUAL
        case _:
            return IpFamilies.AUTOMATIC
