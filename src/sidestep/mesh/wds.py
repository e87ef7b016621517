"""WDS: the mesh model ⇄ the messages `istio.workload.Address` and `istio.security.Authorization`.

Fields of WDS that the model lacks (extensions, application tunnels, weighted waypoints) are dropped on decoding.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from sidestep.mesh.model import (
    Locality,
    NetworkAddress,
    Policy,
    Port,
    Service,
    TunnelProtocol,
    Workload,
)
from sidestep.mesh.wds_parts import (
    APPLICATION_PROTOCOLS,
    IP_FAMILIES,
    TUNNEL_PROTOCOLS,
    WORKLOAD_TYPES,
    InvalidMessage,
    decode_gateway,
    decode_ip,
    decode_load_balancing,
    decode_network_address,
    decode_port_number,
    encode_gateway,
    encode_ip,
    encode_load_balancing,
    encode_network_address,
)
from sidestep.mesh.wds_policy import decode_policy, encode_policy
from sidestep.wire import istio
from sidestep.wire.istio import workload as pb

__all__ = [
    "InvalidMessage",
    "aliases",
    "decode_address",
    "decode_policy",
    "encode_policy",
    "encode_service",
    "encode_workload",
    "resource_name",
]


def resource_name(item: Workload | Service | Policy) -> str:
    """Its name on the wire: a workload's uid, `namespace/hostname` of a service, `namespace/name` of a policy."""
    return item.uid if isinstance(item, Workload) else item.key


def aliases(item: Workload | Service) -> tuple[str, ...]:
    """The other names by which it may be asked for: `network/address` of each of its addresses.

    Pods on the host's network share the node's address, which names none of them.
    """
    if isinstance(item, Service):
        return tuple(
            f"{virtual.network}/{virtual.address}" for virtual in item.addresses if virtual.prefix_length is None
        )
    if item.host_network:
        return ()
    return tuple(f"{item.network}/{address}" for address in item.addresses)


# --- workloads -----------------------------------------------------------------------------------------------------


def encode_workload(workload: Workload) -> istio.Address:
    """As a resource of type `istio.workload.Address`; raises ValueError if an address is none."""
    message = pb.Workload(
        uid=workload.uid,
        name=workload.name,
        namespace=workload.namespace,
        addresses=[encode_ip(address) for address in workload.addresses],
        hostname=workload.hostname,
        network=workload.network,
        cluster_id=workload.cluster_id,
        trust_domain=workload.trust_domain,
        service_account=workload.service_account,
        node=workload.node,
        canonical_name=workload.canonical_name,
        canonical_revision=workload.canonical_revision,
        workload_type=WORKLOAD_TYPES.to_wire(workload.workload_type),
        workload_name=workload.workload_name,
        tunnel_protocol=TUNNEL_PROTOCOLS.to_wire(workload.tunnel_protocol),
        native_tunnel=workload.native_tunnel,
        authorization_policies=workload.authorization_policies,
        status=pb.HEALTHY if workload.healthy else pb.UNHEALTHY,
        network_mode=pb.HOST_NETWORK if workload.host_network else pb.STANDARD,
        waypoint=encode_gateway(workload.waypoint),
        network_gateway=encode_gateway(workload.network_gateway),
    )
    for key, ports in workload.services.items():
        message.services[key].ports.extend(_encode_port(port) for port in ports)
    if workload.locality != Locality():
        place = workload.locality
        message.locality.CopyFrom(pb.Locality(region=place.region, zone=place.zone, subzone=place.subzone))
    if workload.capacity != 1:
        message.capacity.value = workload.capacity
    return istio.Address(workload=message)


def _decode_workload(message: pb.Workload) -> Workload:
    if not message.uid:
        raise InvalidMessage("a workload has no uid")
    place = message.locality
    # Nobody originates legacy mTLS; such a workload takes plain TCP.
    legacy = message.tunnel_protocol == pb.LEGACY_ISTIO_MTLS
    return Workload(
        uid=message.uid,
        name=message.name,
        namespace=message.namespace,
        addresses=tuple(decode_ip(address) for address in message.addresses),
        hostname=message.hostname,
        network=message.network,
        cluster_id=message.cluster_id,
        trust_domain=message.trust_domain,
        service_account=message.service_account,
        node=message.node,
        canonical_name=message.canonical_name,
        canonical_revision=message.canonical_revision,
        workload_type=WORKLOAD_TYPES.from_wire(message.workload_type),
        workload_name=message.workload_name,
        tunnel_protocol=TunnelProtocol.NONE if legacy else TUNNEL_PROTOCOLS.from_wire(message.tunnel_protocol),
        native_tunnel=message.native_tunnel,
        services={key: tuple(_decode_port(port) for port in listed.ports) for key, listed in message.services.items()},
        authorization_policies=tuple(message.authorization_policies),
        healthy=message.status == pb.HEALTHY,
        locality=Locality(region=place.region, zone=place.zone, subzone=place.subzone),
        host_network=message.network_mode == pb.HOST_NETWORK,
        capacity=message.capacity.value if message.HasField("capacity") else 1,
        waypoint=decode_gateway(message.waypoint) if message.HasField("waypoint") else None,
        network_gateway=decode_gateway(message.network_gateway) if message.HasField("network_gateway") else None,
    )


# --- services ------------------------------------------------------------------------------------------------------


def encode_service(service: Service) -> istio.Address:
    """As a resource of type `istio.workload.Address`; raises ValueError if an address is none."""
    message = pb.Service(
        name=service.name,
        namespace=service.namespace,
        hostname=service.hostname,
        addresses=[encode_network_address(virtual) for virtual in service.addresses],
        ports=[_encode_port(port) for port in service.ports],
        subject_alt_names=service.subject_alt_names,
        waypoint=encode_gateway(service.waypoint),
        load_balancing=encode_load_balancing(service.load_balancing),
        ip_families=IP_FAMILIES.to_wire(service.ip_families),
        canonical=service.canonical,
        visibility=pb.NAMESPACE if service.private else pb.PUBLIC,
    )
    return istio.Address(service=message)


def _decode_service(message: pb.Service) -> Service:
    if not message.hostname:
        raise InvalidMessage("a service has no hostname")
    addresses: tuple[NetworkAddress, ...] = tuple(decode_network_address(virtual) for virtual in message.addresses)
    return Service(
        name=message.name,
        namespace=message.namespace,
        hostname=message.hostname,
        addresses=addresses,
        ports=tuple(_decode_port(port) for port in message.ports),
        subject_alt_names=tuple(message.subject_alt_names),
        waypoint=decode_gateway(message.waypoint) if message.HasField("waypoint") else None,
        load_balancing=decode_load_balancing(message.load_balancing),
        ip_families=IP_FAMILIES.from_wire(message.ip_families),
        canonical=message.canonical,
        private=message.visibility == pb.NAMESPACE,
    )


# --- both ----------------------------------------------------------------------------------------------------------


def decode_address(body: bytes) -> Workload | Service:
    """The workload or service in a serialised `istio.workload.Address`; raises InvalidMessage."""
    message = istio.Address()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise InvalidMessage(f"not an istio.workload.Address: {error}") from error
    match message.WhichOneof("type"):
        case "workload":
            return _decode_workload(message.workload)
        case "service":
            return _decode_service(message.service)
        case _:
            raise InvalidMessage("an address is neither a workload nor a service")


def _encode_port(port: Port) -> pb.Port:
    return pb.Port(
        service_port=port.service_port,
        target_port=port.target_port,
        app_protocol=APPLICATION_PROTOCOLS.to_wire(port.application_protocol),
    )


def _decode_port(message: pb.Port) -> Port:
    return Port(
        service_port=decode_port_number(message.service_port),
        target_port=decode_port_number(message.target_port),
        application_protocol=APPLICATION_PROTOCOLS.from_wire(message.app_protocol),
    )
