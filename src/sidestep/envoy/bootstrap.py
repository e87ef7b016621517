"""What an Envoy is told at its start: who it is, where its configuration comes from, where its admin listens. Pure.

Everything else comes over one aggregated delta xDS stream (ADS) on a Unix socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from sidestep.envoy.config import ads_config_source, duration, http2_upstream, pipe, typed
from sidestep.wire import envoy as pb

XDS_CLUSTER = "xds"
MAXIMUM_SOCKET_PATH = 107
"""Bytes; the kernel's limit for the path of a Unix socket."""
UNLIMITED_CONNECTIONS = 2**31 - 1


class SocketPathTooLongError(ValueError):
    """A Unix socket's path does not fit into the kernel's structure."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: {len(bytes(path))} bytes are too long for a Unix socket, {MAXIMUM_SOCKET_PATH} is the limit; "
            "choose a shorter state directory"
        )


class BootstrapOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from one Envoy to another."""

    node_id: str
    node_cluster: str
    xds_socket: Path
    """Where the aggregated discovery service listens. It need not exist yet: Envoy keeps trying."""
    admin_socket: Path
    """Where the admin interface listens, for its owner alone. By hand: `curl --unix-socket PATH http://localhost/`."""
    clusters: tuple[pb.Cluster, ...] = ()
    """Clusters that are there from the start."""
    runtime: Mapping[str, bool | int | str] = {}
    """Runtime values, e.g. `envoy.reloadable_features.…`."""
    metadata: Mapping[str, str] = {}
    """Node metadata, which the discovery service sees."""


def bootstrap(options: BootstrapOptions) -> pb.Bootstrap:
    """The bootstrap of an Envoy that learns everything else from its discovery service.

    Raises `SocketPathTooLongError`.
    """
    for path in (options.xds_socket, options.admin_socket):
        check_socket_path(path)
    node = pb.Node(id=options.node_id, cluster=options.node_cluster)
    node.metadata.update(options.metadata)
    return pb.Bootstrap(
        node=node,
        admin=pb.Admin(address=pipe(options.admin_socket, mode=0o600)),
        static_resources=pb.Bootstrap.StaticResources(clusters=[_xds_cluster(options.xds_socket), *options.clusters]),
        dynamic_resources=_dynamic_resources(),
        bootstrap_extensions=[typed("envoy.bootstrap.internal_listener", pb.InternalListener())],
        layered_runtime=_runtime(options.runtime),
        overload_manager=_overload_manager(),
        # most clusters and listeners of a node are idle: their statistics are made when first used
        deferred_stat_options=pb.Bootstrap.DeferredStatOptions(enable_deferred_creation_stats=True),
    )


def _overload_manager() -> pb.OverloadManager:
    """File descriptors are the limit, and the supervisor sets that; said here so that Envoy does not warn."""
    unlimited = pb.DownstreamConnectionsConfig(max_active_downstream_connections=UNLIMITED_CONNECTIONS)
    manager = pb.OverloadManager()
    manager.resource_monitors.add(
        name="envoy.resource_monitors.global_downstream_max_connections", typed_config=pb.any_of(unlimited)
    )
    return manager


def check_socket_path(path: Path) -> None:
    """Raise `SocketPathTooLongError` where the kernel would only say "invalid argument"."""
    if len(bytes(path)) > MAXIMUM_SOCKET_PATH:
        raise SocketPathTooLongError(path)


def _dynamic_resources() -> pb.Bootstrap.DynamicResources:
    # Wait for the first answer, however long it takes. A new Envoy that went on without listeners would take
    # over from the old one and serve nothing.
    source = ads_config_source(initial_fetch_seconds=0)
    return pb.Bootstrap.DynamicResources(lds_config=source, cds_config=source, ads_config=_ads())


def _ads() -> pb.ApiConfigSource:
    service = pb.GrpcService()
    service.envoy_grpc.cluster_name = XDS_CLUSTER
    back_off = service.envoy_grpc.retry_policy.retry_back_off
    back_off.base_interval.CopyFrom(duration(0.1))
    back_off.max_interval.CopyFrom(duration(1))
    return pb.ApiConfigSource(
        api_type=pb.ApiConfigSource.DELTA_GRPC,
        transport_api_version=pb.ApiVersion.V3,
        grpc_services=[service],
        set_node_on_first_message_only=True,
    )


def _xds_cluster(socket: Path) -> pb.Cluster:
    endpoint = pb.LbEndpoint(endpoint=pb.Endpoint(address=pipe(socket)))
    return pb.Cluster(
        name=XDS_CLUSTER,
        type=pb.Cluster.STATIC,
        connect_timeout=duration(1),
        typed_extension_protocol_options=http2_upstream(pb.Http2ProtocolOptions()),
        load_assignment=pb.ClusterLoadAssignment(
            cluster_name=XDS_CLUSTER, endpoints=[pb.LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
    )


def _runtime(values: Mapping[str, bool | int | str]) -> pb.LayeredRuntime:
    layer = pb.RuntimeLayer(name="static", static_layer=pb.Struct())
    layer.static_layer.update(values)
    return pb.LayeredRuntime(layers=[layer])
