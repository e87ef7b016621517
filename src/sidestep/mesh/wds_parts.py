"""The smaller pieces of WDS messages, both ways: enumerations, addresses, gateways, load balancing."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from sidestep.mesh.model import (
    ApplicationProtocol,
    BalancingMode,
    GatewayAddress,
    IpFamilies,
    LoadBalancing,
    NamespacedHostname,
    NetworkAddress,
    Scope,
    TunnelProtocol,
)
from sidestep.wire.istio import workload as pb

Ours = TypeVar("Ours", bound=Hashable)
Wire = TypeVar("Wire", bound=int)

_HIGHEST_PORT = 65535


class InvalidMessage(ValueError):  # noqa: N818 - reads well where it is raised
    """Bytes that are no message of the type, or a message that the model cannot hold; the text says why."""


class Enumeration(Generic[Ours, Wire]):
    """Our values of one enumeration and their numbers on the wire."""

    def __init__(self, name: str, pairs: Mapping[Ours, Wire]) -> None:
        self._name = name
        self._to_wire = dict(pairs)
        self._from_wire = {number: value for value, number in pairs.items()}

    def to_wire(self, value: Ours) -> Wire:
        """Its number; KeyError if `value` is not one of ours."""
        return self._to_wire[value]

    def from_wire(self, number: Wire) -> Ours:
        """The value of `number`; raises InvalidMessage if there is none."""
        try:
            return self._from_wire[number]
        except KeyError:
            raise InvalidMessage(f"{self._name} {number} is unknown") from None


TUNNEL_PROTOCOLS = Enumeration("tunnel protocol", {TunnelProtocol.NONE: pb.NONE, TunnelProtocol.HBONE: pb.HBONE})
WORKLOAD_TYPES = Enumeration(
    "workload type", {"deployment": pb.DEPLOYMENT, "cronjob": pb.CRONJOB, "pod": pb.POD, "job": pb.JOB}
)
IP_FAMILIES = Enumeration(
    "IP families",
    {
        IpFamilies.AUTOMATIC: pb.AUTOMATIC,
        IpFamilies.IPV4_ONLY: pb.IPV4_ONLY,
        IpFamilies.IPV6_ONLY: pb.IPV6_ONLY,
        IpFamilies.DUAL: pb.DUAL,
    },
)
APPLICATION_PROTOCOLS = Enumeration(
    "application protocol",
    {
        ApplicationProtocol.UNKNOWN: pb.Port.UNKNOWN,
        ApplicationProtocol.HTTP11: pb.Port.HTTP11,
        ApplicationProtocol.HTTP2: pb.Port.HTTP2,
        ApplicationProtocol.GRPC: pb.Port.GRPC,
        ApplicationProtocol.TCP: pb.Port.TCP,
        ApplicationProtocol.TLS: pb.Port.TLS,
    },
)
_SCOPES = Enumeration(
    "load-balancing scope",
    {
        Scope.REGION: pb.LoadBalancing.REGION,
        Scope.ZONE: pb.LoadBalancing.ZONE,
        Scope.SUBZONE: pb.LoadBalancing.SUBZONE,
        Scope.NODE: pb.LoadBalancing.NODE,
        Scope.CLUSTER: pb.LoadBalancing.CLUSTER,
        Scope.NETWORK: pb.LoadBalancing.NETWORK,
    },
)
_MODES = Enumeration(
    "load-balancing mode",
    {
        BalancingMode.ANY: pb.LoadBalancing.UNSPECIFIED_MODE,
        BalancingMode.STRICT: pb.LoadBalancing.STRICT,
        BalancingMode.FAILOVER: pb.LoadBalancing.FAILOVER,
        BalancingMode.PASSTHROUGH: pb.LoadBalancing.PASSTHROUGH,
    },
)


def encode_ip(address: str) -> bytes:
    """4 or 16 bytes; ValueError if it is no address."""
    return ipaddress.ip_address(address).packed


def decode_ip(packed: bytes) -> str:
    """Its canonical text."""
    try:
        return str(ipaddress.ip_address(packed))
    except ValueError:
        raise InvalidMessage(f"an address has 4 or 16 bytes, not {len(packed)}") from None


def decode_port_number(number: int) -> int:
    """A port, or 0."""
    if number > _HIGHEST_PORT:
        raise InvalidMessage(f"{number} is no port")
    return number


def encode_network_address(virtual: NetworkAddress) -> pb.NetworkAddress:
    """An address or, with a prefix length, a block."""
    return pb.NetworkAddress(network=virtual.network, address=encode_ip(virtual.address), length=virtual.prefix_length)


def decode_network_address(message: pb.NetworkAddress) -> NetworkAddress:
    """The reverse; a block of one address is an address."""
    address = decode_ip(message.address)
    if not message.HasField("length"):
        return NetworkAddress(network=message.network, address=address)
    bits = len(message.address) * 8
    if message.length > bits:
        raise InvalidMessage(f"{address}/{message.length} is no block")
    return NetworkAddress(
        network=message.network, address=address, prefix_length=None if message.length == bits else message.length
    )


def encode_gateway(gateway: GatewayAddress | None) -> pb.GatewayAddress | None:
    """None stays None."""
    if gateway is None:
        return None
    message = pb.GatewayAddress(hbone_mtls_port=gateway.hbone_port)
    if gateway.hostname is not None:
        message.hostname.namespace = gateway.hostname.namespace
        message.hostname.hostname = gateway.hostname.hostname
    elif gateway.address is not None:
        message.address.CopyFrom(encode_network_address(gateway.address))
    return message


def decode_gateway(message: pb.GatewayAddress) -> GatewayAddress:
    """The reverse; a gateway without hostname and address is refused."""
    port = decode_port_number(message.hbone_mtls_port)
    match message.WhichOneof("destination"):
        case "hostname":
            hostname = NamespacedHostname(namespace=message.hostname.namespace, hostname=message.hostname.hostname)
            return GatewayAddress(hostname=hostname, hbone_port=port)
        case "address":
            return GatewayAddress(address=decode_network_address(message.address), hbone_port=port)
        case _:
            raise InvalidMessage("a gateway has neither hostname nor address")


def encode_load_balancing(balancing: LoadBalancing) -> pb.LoadBalancing | None:
    """None for the default."""
    if balancing == LoadBalancing():
        return None
    return pb.LoadBalancing(
        routing_preference=[_SCOPES.to_wire(scope) for scope in balancing.preference],
        mode=_MODES.to_wire(balancing.mode),
        health_policy=pb.LoadBalancing.ALLOW_ALL if balancing.unhealthy_too else pb.LoadBalancing.ONLY_HEALTHY,
    )


def decode_load_balancing(message: pb.LoadBalancing) -> LoadBalancing:
    """An absent message is the default."""
    return LoadBalancing(
        preference=tuple(_SCOPES.from_wire(scope) for scope in message.routing_preference),
        mode=_MODES.from_wire(message.mode),
        unhealthy_too=message.health_policy == pb.LoadBalancing.ALLOW_ALL,
    )
