"""What lies behind a mesh address that an application connects to, and the cluster that takes it there.

A destination is a service's virtual address or a workload's own. Clusters are made when the first connection asks
for them; endpoints follow the mesh from then on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from sidestep.envoy.config import ads_config_source, bind_config, duration
from sidestep.mesh.endpoints import NodeLocality, RankedEndpoint, ranked_endpoints
from sidestep.mesh.model import BalancingMode, Port, Service, TunnelProtocol, Workload
from sidestep.node.capture import PROXY_MARK
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import names
from sidestep.node.translator.parts import (
    keepalive,
    lift_limits,
    original_destination_cluster,
)
from sidestep.node.view import MeshView
from sidestep.wire import envoy as pb

FAILURES_BEFORE_REST = 5

_PLAIN = "plain"
_MATCH_METADATA = "envoy.transport_socket_match"


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """An address that the mesh knows, with its endpoints in order of preference."""

    address: str
    port: int
    service: Service | None = None
    endpoints: tuple[RankedEndpoint, ...] = ()
    passthrough: bool = False
    """True: plain TCP to where the application aimed (a ServiceEntry with resolution NONE)."""

    @property
    def cluster(self) -> str:
        """Name of its cluster, and of its endpoints' resource."""
        return names.destination_cluster(self.address, self.port)


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing may be dialled; `reason` is for logs."""

    reason: str


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A mesh address that the mesh has not described (yet): wait, never dial it in plain text."""

    address: str


def find(view: MeshView, settings: NodeSettings, address: str, port: int) -> Destination | Refused | Unknown:
    """What `address:port` means now."""
    ip = ipaddress.ip_address(address)
    if ip.is_loopback or ip.is_unspecified or ip.is_multicast:
        return Refused(reason=f"{address} is not an address of another host")
    service = view.service_at(address)
    workload = view.workload_at(address)
    if service is not None and not (workload is not None and _in_mesh(workload) and _passes_through(service)):
        return _service(view, settings, service, address, port)
    if workload is not None:
        if _in_mesh(workload) and port in names.PROXY_PORTS:
            return Refused(reason=f"port {port} of a mesh pod belongs to its node proxy")
        endpoint = RankedEndpoint(workload=workload, target_port=port, priority=0, weight=1)
        return Destination(address=address, port=port, endpoints=(endpoint,))
    return Unknown(address=address)


def _in_mesh(workload: Workload) -> bool:
    return workload.tunnel_protocol is TunnelProtocol.HBONE


def _passes_through(service: Service) -> bool:
    return service.load_balancing.mode is BalancingMode.PASSTHROUGH


def _service(
    view: MeshView, settings: NodeSettings, service: Service, address: str, number: int
) -> Destination | Refused | Unknown:
    port = next((port for port in service.ports if port.service_port == number), None)
    if port is None:
        return Refused(reason=f"{service.hostname} has no port {number}")
    if _passes_through(service):
        if settings.is_mesh_address(address):
            # A pod that the mesh has not described: no ServiceEntry's block makes its traffic plain text.
            return Unknown(address=address)
        return Destination(address=address, port=number, service=service, passthrough=True)
    return Destination(
        address=address,
        port=number,
        service=service,
        endpoints=_endpoints(view, settings, service, port),
    )


def _endpoints(view: MeshView, settings: NodeSettings, service: Service, port: Port) -> tuple[RankedEndpoint, ...]:
    here = NodeLocality(
        node=settings.node,
        locality=settings.locality,
        network=settings.network,
        cluster_id=settings.cluster_id,
    )
    ranked = ranked_endpoints(service, port, view.workloads_of(service), here)
    return tuple(_as_owner(view, endpoint) for endpoint in ranked)


def _as_owner(view: MeshView, endpoint: RankedEndpoint) -> RankedEndpoint:
    """An endpoint that a ServiceEntry or EndpointSlice names by the address of a mesh pod is that pod."""
    workload = endpoint.workload
    if _in_mesh(workload) or workload.node or not workload.addresses:
        return endpoint
    owner = view.workload_at(workload.addresses[0])
    if owner is None or not _in_mesh(owner):
        return endpoint
    return msgspec.structs.replace(endpoint, workload=owner)


# --- clusters ----------------------------------------------------------------------------------------------------


def refused_cluster(name: str, reason: str) -> pb.Cluster:
    """A cluster at which every connection fails at once, because it has no endpoints; `reason` is for access logs."""
    cluster = pb.Cluster(
        name=name,
        alt_stat_name="refused",
        type=pb.Cluster.STATIC,
        load_assignment=pb.ClusterLoadAssignment(cluster_name=name),
    )
    cluster.metadata.filter_metadata[names.ENDPOINT_METADATA].update({"refused": reason})
    return cluster


def destination_cluster(settings: NodeSettings, destination: Destination) -> pb.Cluster:
    """Least request over the healthy endpoints; how each is reached is told by its address and metadata.

    The cluster depends on nothing that changes while the address keeps its meaning: endpoints come by EDS, or, when
    one of them is known by a DNS name only, are resolved by Envoy.
    """
    if destination.passthrough:
        cluster = original_destination_cluster(settings, destination.cluster)
    else:
        cluster = _balancing_cluster(settings, destination)
    if destination.service is not None:
        # Connections that find no endpoint are logged with their service, too.
        cluster.metadata.filter_metadata[names.ENDPOINT_METADATA].update({"service": destination.service.hostname})
    return cluster


def _balancing_cluster(settings: NodeSettings, destination: Destination) -> pb.Cluster:
    cluster = pb.Cluster(
        name=destination.cluster,
        alt_stat_name=destination.service.key if destination.service else "workload",
        connect_timeout=duration(settings.connect_seconds),
        upstream_bind_config=bind_config(PROXY_MARK),
        lb_policy=pb.Cluster.LEAST_REQUEST,
        transport_socket_matches=[_plain_socket(), _internal_socket()],
        outlier_detection=_outlier_detection(),
    )
    # Without enough healthy endpoints traffic goes to the healthy ones, not to all.
    cluster.common_lb_config.healthy_panic_threshold.CopyFrom(pb.Percent(value=0))
    cluster.upstream_connection_options.tcp_keepalive.CopyFrom(keepalive())
    lift_limits(cluster)
    if any(not endpoint.workload.addresses for endpoint in destination.endpoints):
        cluster.type = pb.Cluster.STRICT_DNS
        cluster.load_assignment.CopyFrom(load_assignment(settings, destination, {}))
    else:
        cluster.type = pb.Cluster.EDS
        cluster.eds_cluster_config.eds_config.CopyFrom(ads_config_source())
    return cluster


def load_assignment(
    settings: NodeSettings,
    destination: Destination,
    local_pods: Mapping[str, str],
    resting: AbstractSet[str] = frozenset(),
) -> pb.ClusterLoadAssignment:
    """The endpoints; `local_pods` gives, by address, the uids of this node's enrolled pods.

    Endpoints of `resting` (`address:port`) get no new connections, but never more than half of all rest.
    """
    assignment = pb.ClusterLoadAssignment(cluster_name=destination.cluster)
    may_rest = len(destination.endpoints) // 2
    by_priority: dict[int, list[pb.LbEndpoint]] = {}
    for endpoint in destination.endpoints:
        built = _endpoint(settings, destination, endpoint, local_pods)
        if built is not None:
            if may_rest and _target(built) in resting:
                may_rest -= 1
                built.health_status = pb.UNHEALTHY
            by_priority.setdefault(endpoint.priority, []).append(built)
    for level, priority in enumerate(sorted(by_priority)):
        assignment.endpoints.add(priority=level, lb_endpoints=by_priority[priority])
    return assignment


def _endpoint(
    settings: NodeSettings, destination: Destination, ranked: RankedEndpoint, local_pods: Mapping[str, str]
) -> pb.LbEndpoint | None:
    workload = ranked.workload
    address = _same_family(workload.addresses, destination.address)
    if address is None and (workload.addresses or _in_mesh(workload)):
        # A tunnel goes to an address: what only has a name is not dialled in plain text instead.
        return None
    result = pb.LbEndpoint(load_balancing_weight=pb.UInt32Value(value=max(1, ranked.weight)))
    described = result.metadata.filter_metadata[names.ENDPOINT_METADATA]
    described.update(_description(destination, workload))
    if address is None:
        _dial(result, workload.hostname, ranked.target_port)
        return result
    target = names.join_address(address, ranked.target_port)
    if not _in_mesh(workload):
        _dial(result, address, ranked.target_port)
        return result
    described.update({"destination": target, "identity": workload.identity})
    local = local_pods.get(address)
    internal = result.endpoint.address.envoy_internal_address
    # Two endpoints of one cluster may differ in nothing but the port behind the listener.
    internal.endpoint_id = target
    if local is not None and not settings.force_tunnel:
        internal.server_listener_name = names.same_node_listener(local)
        result.metadata.filter_metadata[names.ORIGINAL_DST_METADATA].update({"local": target})
    else:
        internal.server_listener_name = names.TUNNEL
        described.update({"tunnel": names.join_address(address, names.TUNNEL_PORT)})
    return result


def _target(endpoint: pb.LbEndpoint) -> str:
    return endpoint.endpoint.address.envoy_internal_address.endpoint_id


def _same_family(addresses: Sequence[str], like: str) -> str | None:
    """The workload's address in the family that the application used, else its first."""
    same = [address for address in addresses if (":" in address) == (":" in like)]
    return next(iter((*same, *addresses)), None)


def _description(destination: Destination, workload: Workload) -> dict[str, str]:
    service = destination.service.hostname if destination.service else ""
    return {"name": workload.name, "namespace": workload.namespace, "service": service}


def _dial(endpoint: pb.LbEndpoint, address: str, port: int) -> None:
    endpoint.endpoint.address.socket_address.address = address
    endpoint.endpoint.address.socket_address.port_value = port
    endpoint.metadata.filter_metadata[_MATCH_METADATA].update({_PLAIN: True})


def _plain_socket() -> pb.Cluster.TransportSocketMatch:
    match = pb.Cluster.TransportSocketMatch(
        name=_PLAIN, transport_socket=pb.TransportSocket(name="raw", typed_config=pb.any_of(pb.RawBuffer()))
    )
    match.match.update({_PLAIN: True})
    return match


def _internal_socket() -> pb.Cluster.TransportSocketMatch:
    """Hands the endpoint's metadata and the connection's filter state to the internal listener."""
    transport = pb.InternalUpstreamTransport(
        passthrough_metadata=[
            pb.InternalUpstreamTransport.MetadataValueSource(kind=pb.MetadataKind(host={}), name=name)
            for name in (names.ENDPOINT_METADATA, names.ORIGINAL_DST_METADATA)
        ],
        transport_socket=pb.TransportSocket(name="raw", typed_config=pb.any_of(pb.RawBuffer())),
    )
    return pb.Cluster.TransportSocketMatch(
        name="internal",
        match=pb.Struct(),
        transport_socket=pb.TransportSocket(name="internal-upstream", typed_config=pb.any_of(transport)),
    )


def _outlier_detection() -> pb.OutlierDetection:
    """Endpoints that five connections in a row could not reach rest for 10 s, longer each time.

    All of them may rest at once when there are more than one: then the connection fails as it would anyway.
    """
    return pb.OutlierDetection(
        interval=duration(1),
        base_ejection_time=duration(10),
        max_ejection_time=duration(120),
        max_ejection_percent=pb.UInt32Value(value=50),
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=pb.UInt32Value(value=FAILURES_BEFORE_REST),
        enforcing_consecutive_local_origin_failure=pb.UInt32Value(value=100),
        enforcing_local_origin_success_rate=pb.UInt32Value(value=0),
        enforcing_consecutive_5xx=pb.UInt32Value(value=0),
        enforcing_consecutive_gateway_failure=pb.UInt32Value(value=0),
        enforcing_success_rate=pb.UInt32Value(value=0),
    )
