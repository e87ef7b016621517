"""Pieces of Envoy configuration that several features of the node proxy share."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message

from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import names
from sidestep.wire import envoy as pb

PROXY_MARK = 0x539
_SOL_SOCKET, _SO_MARK = 1, 36
_STRING, _HASHABLE_STRING = "envoy.string", "envoy.hashable_string"
_Value = pb.FilterStateValue

HERE = _Value.NONE
"""Filter state for this connection only."""
NEXT = _Value.ONCE
"""Filter state that the upstream connection sees as well, and an internal listener behind it."""
ONWARD = _Value.TRANSITIVE
"""Filter state for this connection and all that follow from it."""


def extension(name: str, config: Message) -> pb.TypedExtensionConfig:
    """An extension with its configuration."""
    return pb.TypedExtensionConfig(name=name, typed_config=pb.any_of(config))


def network_filter(name: str, config: Message) -> pb.Filter:
    """A network filter."""
    return pb.Filter(name=name, typed_config=pb.any_of(config))


def listener_filter(name: str, config: Message) -> pb.ListenerFilter:
    """A listener filter."""
    return pb.ListenerFilter(name=name, typed_config=pb.any_of(config))


def http_filter(name: str, config: Message) -> pb.HttpFilter:
    """An HTTP filter."""
    return pb.HttpFilter(name=name, typed_config=pb.any_of(config))


def ads() -> pb.ConfigSource:
    """Discovery over the one aggregated stream to the agent."""
    return pb.ConfigSource(ads=pb.AggregatedConfigSource(), resource_api_version=pb.ApiVersion.V3)


def duration(seconds: float) -> pb.Duration:
    """A protobuf duration."""
    whole = int(seconds)
    return pb.Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))


def filter_state(key: str, value: str, shared: _Value.SharedWithUpstream, *, factory: str = "") -> pb.FilterStateValue:
    """Filter state `key` from a format string; an empty value sets nothing."""
    return pb.FilterStateValue(
        object_key=key,
        factory_key=factory,
        format_string=_format(value),
        shared_with_upstream=shared,
        skip_if_empty=True,
    )


def text_state(key: str, value: str, shared: _Value.SharedWithUpstream) -> pb.FilterStateValue:
    """Filter state that is a plain string."""
    return filter_state(key, value, shared, factory=_STRING)


def pooled_state(key: str, value: str, shared: _Value.SharedWithUpstream) -> pb.FilterStateValue:
    """Filter state that is part of the key of connection pools: connections of different values never mix."""
    return filter_state(key, value, shared, factory=_HASHABLE_STRING)


def dial_from(pod: Pod) -> pb.FilterStateValue:
    """Makes upstream connections start inside the pod's network namespace."""
    return text_state(names.NETWORK_NAMESPACE_KEY, pod.network_namespace, ONWARD)


def set_filter_state(*values: pb.FilterStateValue) -> pb.Filter:
    """A network filter that sets filter state when a connection begins."""
    return network_filter("set-filter-state", pb.NetworkSetFilterState(on_new_connection=values))


def _format(value: str) -> pb.SubstitutionFormatString:
    return pb.SubstitutionFormatString(text_format_source=pb.DataSource(inline_string=value), omit_empty_values=True)


def literal(value: str) -> str:
    """`value` for use inside a format string."""
    return value.replace("%", "%%")


def in_pod(pod: Pod, port: int, address: str) -> pb.Address:
    """A listening address inside the pod's network namespace."""
    return pb.Address(
        socket_address=pb.SocketAddress(
            address=address, port_value=port, network_namespace_filepath=pod.network_namespace
        )
    )


def both_families(pod: Pod, port: int) -> tuple[pb.Address, list[pb.AdditionalAddress]]:
    """The port on all addresses of the pod: IPv4 first, IPv6 (and only that) as the additional one."""
    six = in_pod(pod, port, "::")
    six.socket_address.ipv4_compat = False
    return in_pod(pod, port, "0.0.0.0"), [pb.AdditionalAddress(address=six)]


def socket_mark() -> pb.SocketOption:
    """SO_MARK 0x539: exempt from capture."""
    return pb.SocketOption(
        description="not to be captured",
        level=_SOL_SOCKET,
        name=_SO_MARK,
        int_value=PROXY_MARK,
        state=pb.SocketOption.STATE_PREBIND,
    )


def bind_in_pod() -> pb.BindConfig:
    """Dial from the network namespace that filter state names, in either address family."""
    return pb.BindConfig(
        source_address=pb.SocketAddress(address="0.0.0.0", port_value=0),
        extra_source_addresses=[
            pb.ExtraSourceAddress(
                address=pb.SocketAddress(address="::", port_value=0),
                socket_options={"socket_options": [socket_mark()]},
            )
        ],
        socket_options=[socket_mark()],
        local_address_selector=extension("namespace", pb.FilterStateAddressSelector()),
    )


def original_destination_cluster(settings: NodeSettings, name: str) -> pb.Cluster:
    """Dials the address that the connection names, from inside the pod that filter state names."""
    cluster = pb.Cluster(
        name=name,
        type=pb.Cluster.ORIGINAL_DST,
        lb_policy=pb.Cluster.CLUSTER_PROVIDED,
        connect_timeout=duration(settings.connect_seconds),
        upstream_bind_config=bind_in_pod(),
    )
    cluster.upstream_connection_options.tcp_keepalive.CopyFrom(keepalive())
    return cluster


def original_destination() -> pb.ListenerFilter:
    """Restores the address that a redirected connection aimed at."""
    return listener_filter("original-destination", pb.OriginalDst())


def original_source() -> pb.ListenerFilter:
    """Dials the application from the client's own address."""
    return listener_filter("original-source", pb.OriginalSrc(mark=PROXY_MARK))


def tls_parameters() -> pb.TlsParameters:
    """TLS 1.3 and nothing else; both ends of the range, since an upstream's default maximum is 1.2."""
    return pb.TlsParameters(
        tls_minimum_protocol_version=pb.TlsParameters.TLSv1_3, tls_maximum_protocol_version=pb.TlsParameters.TLSv1_3
    )


def trust_bundle() -> pb.SdsSecretConfig:
    """The roots and the trust domain that peers must belong to."""
    return pb.SdsSecretConfig(name=names.TRUST_BUNDLE, sds_config=ads())


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
