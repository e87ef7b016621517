"""Pieces of Envoy configuration that several features of the node proxy share."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message

from sidestep.envoy.config import Sharing, StateFactory, ads_config_source, bind_config, duration, filter_state
from sidestep.envoy.config import in_pod as in_namespace
from sidestep.node.capture import PROXY_MARK
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import names
from sidestep.wire import envoy as pb


def network_filter(name: str, config: Message) -> pb.Filter:
    """A network filter."""
    return pb.Filter(name=name, typed_config=pb.any_of(config))


def listener_filter(name: str, config: Message) -> pb.ListenerFilter:
    """A listener filter."""
    return pb.ListenerFilter(name=name, typed_config=pb.any_of(config))


def http_filter(name: str, config: Message) -> pb.HttpFilter:
    """An HTTP filter."""
    return pb.HttpFilter(name=name, typed_config=pb.any_of(config))


def text_state(key: str, value: str) -> pb.FilterStateValue:
    """Filter state that is a plain string, for this connection and all that follow from it."""
    return filter_state(key, value, factory=StateFactory.STRING, shared=Sharing.TRANSITIVE)


def pooled_state(key: str, value: str) -> pb.FilterStateValue:
    """The same, as part of the key of connection pools: connections of different values never mix."""
    return filter_state(key, value, factory=StateFactory.HASHABLE_STRING, shared=Sharing.TRANSITIVE)


def dial_from(pod: Pod) -> pb.FilterStateValue:
    """Makes upstream connections start inside the pod's network namespace."""
    return text_state(names.NETWORK_NAMESPACE_KEY, pod.network_namespace)


def set_filter_state(*values: pb.FilterStateValue) -> pb.Filter:
    """A network filter that sets filter state when a connection begins."""
    return network_filter("set-filter-state", pb.NetworkSetFilterState(on_new_connection=values))


def both_families(pod: Pod, port: int) -> tuple[pb.Address, list[pb.AdditionalAddress]]:
    """The port on all addresses of the pod: IPv4 first, IPv6 (and only that) as the additional one."""
    four, six = (in_namespace(address, port, pod.network_namespace) for address in ("0.0.0.0", "::"))
    return four, [pb.AdditionalAddress(address=six)]


def lift_limits(cluster: pb.Cluster) -> None:
    """Envoy would refuse the 1025th connection or stream to a cluster; a node proxy has no such opinion."""
    limit = pb.UInt32Value(value=2**32 - 1)
    cluster.circuit_breakers.thresholds.add(
        max_connections=limit, max_pending_requests=limit, max_requests=limit, max_retries=limit
    )


def original_destination_cluster(settings: NodeSettings, name: str) -> pb.Cluster:
    """Dials the address that the connection names, from inside the pod that filter state names."""
    cluster = pb.Cluster(
        name=name,
        type=pb.Cluster.ORIGINAL_DST,
        lb_policy=pb.Cluster.CLUSTER_PROVIDED,
        connect_timeout=duration(settings.connect_seconds),
        upstream_bind_config=bind_config(PROXY_MARK),
    )
    cluster.upstream_connection_options.tcp_keepalive.CopyFrom(keepalive())
    lift_limits(cluster)
    return cluster


def original_destination() -> pb.ListenerFilter:
    """Restores the address that a redirected connection aimed at."""
    return listener_filter("original-destination", pb.OriginalDst())


def original_source() -> pb.ListenerFilter:
    """Dials the application from the client's own address."""
    return listener_filter("original-source", pb.OriginalSrc(mark=PROXY_MARK))


def trust_bundle() -> pb.SdsSecretConfig:
    """The roots and the trust domain that peers must belong to."""
    return pb.SdsSecretConfig(name=names.TRUST_BUNDLE, sds_config=ads_config_source())


def http2(*, streams: int) -> pb.Http2ProtocolOptions:
    """HBONE's HTTP/2: windows large enough for one bulk stream, pings that notice a dead peer."""
    return pb.Http2ProtocolOptions(
        allow_connect=True,
        max_concurrent_streams=pb.UInt32Value(value=streams),
        initial_stream_window_size=pb.UInt32Value(value=4 << 20),
        initial_connection_window_size=pb.UInt32Value(value=16 << 20),
        connection_keepalive=pb.KeepaliveSettings(
            interval=duration(10), timeout=duration(20), interval_jitter=pb.Percent(value=15)
        ),
    )


def keepalive() -> pb.TcpKeepalive:
    """Notices peers that vanished without a word, as ambient does: after 3 minutes, 9 probes 3 minutes apart."""
    return pb.TcpKeepalive(
        keepalive_time=pb.UInt32Value(value=180),
        keepalive_interval=pb.UInt32Value(value=180),
        keepalive_probes=pb.UInt32Value(value=9),
    )


def access_logs(settings: NodeSettings, logs: Sequence[pb.AccessLog]) -> Sequence[pb.AccessLog]:
    """`logs`, unless the node keeps none."""
    return logs if settings.access_log else ()


def failure_logs(settings: NodeSettings, logs: Sequence[pb.AccessLog]) -> Sequence[pb.AccessLog]:
    """`logs`, unless nobody follows failures."""
    return logs if settings.failure_log else ()
