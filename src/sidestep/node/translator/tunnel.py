"""HBONE towards other nodes: the internal listener that opens CONNECT streams, and the cluster that carries them.

Both are the same for all pods. What differs arrives with the connection: the endpoint's metadata says where to go and
whom to expect there, filter state says whose certificate to show and from which namespace to dial.
"""

from __future__ import annotations

from sidestep.envoy.config import (
    Sharing,
    ads_config_source,
    bind_config,
    duration,
    filter_state,
    tls_parameters,
    typed,
)
from sidestep.node.capture import PROXY_MARK
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import access_log, names
from sidestep.node.translator.parts import (
    access_logs,
    failure_logs,
    http2,
    keepalive,
    lift_limits,
    network_filter,
    set_filter_state,
    trust_bundle,
)
from sidestep.wire import envoy as pb

STREAMS_PER_CONNECTION = 100
# Short, because a replaced Envoy at the other end lives for as long as it has a connection, idle or not.
IDLE_SECONDS = 30
FORGET_SECONDS = 300
_METADATA = f"%DYNAMIC_METADATA({names.ENDPOINT_METADATA}:{{}})%"


def tunnel_listener(settings: NodeSettings) -> pb.Listener:
    """Takes connections by way of endpoints and puts each into a CONNECT stream."""
    headers = {
        "baggage": names.BAGGAGE_KEY,
        "forwarded": names.FORWARDED_KEY,
        "traceparent": names.TRACE_PARENT_KEY,
    }
    proxy = pb.TcpProxy(
        stat_prefix="tunnel",
        cluster=names.TUNNEL,
        access_log=[
            *access_logs(settings, [access_log.outbound_tunnel(settings)]),
            *failure_logs(settings, [access_log.failures(settings)]),
        ],
        idle_timeout=duration(0),
        tunneling_config=pb.TcpProxy.TunnelingConfig(
            hostname=_METADATA.format("destination"),
            headers_to_add=[
                pb.HeaderValueOption(
                    header=pb.HeaderValue(key=header, value=f"%FILTER_STATE({key}:PLAIN)%"),
                    append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
                )
                for header, key in headers.items()
            ],
        ),
    )
    destination = set_filter_state(
        filter_state(names.ORIGINAL_DESTINATION_KEY, _METADATA.format("tunnel"), shared=Sharing.ONCE),
        filter_state(names.SERVER_NAMES_KEY, _METADATA.format("identity"), shared=Sharing.ONCE),
    )
    return pb.Listener(
        name=names.TUNNEL,
        internal_listener=pb.Listener.InternalListenerConfig(),
        filter_chains=[pb.FilterChain(filters=[destination, network_filter("tcp-proxy", proxy)])],
    )


def tunnel_cluster(settings: NodeSettings) -> pb.Cluster:
    """Mutual TLS 1.3 to port 15008 of the pod that the connection names, with the source's own certificate."""
    protocol = pb.HttpProtocolOptions(
        explicit_http_config=pb.HttpProtocolOptions.ExplicitHttpConfig(
            http2_protocol_options=http2(streams=STREAMS_PER_CONNECTION)
        )
    )
    protocol.common_http_protocol_options.idle_timeout.CopyFrom(duration(IDLE_SECONDS))
    cluster = pb.Cluster(
        name=names.TUNNEL,
        type=pb.Cluster.ORIGINAL_DST,
        lb_policy=pb.Cluster.CLUSTER_PROVIDED,
        connect_timeout=duration(settings.connect_seconds),
        # Hosts that are forgotten lose their idle connections.
        cleanup_interval=duration(FORGET_SECONDS),
        upstream_bind_config=bind_config(PROXY_MARK),
        transport_socket=pb.TransportSocket(name="tls", typed_config=pb.any_of(_tls())),
    )
    cluster.upstream_connection_options.tcp_keepalive.CopyFrom(keepalive())
    lift_limits(cluster)
    cluster.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].CopyFrom(
        pb.any_of(protocol)
    )
    return cluster


def _tls() -> pb.UpstreamTlsContext:
    selector = pb.OnDemandSecret(
        config_source=ads_config_source(),
        # Without filter state there is no certificate of this name, and so no connection.
        certificate_mapper=typed("source", pb.FilterStateCertificateMapper(default_value="none")),
    )
    return pb.UpstreamTlsContext(
        # A session that is taken up again keeps the certificate it began with: another source's, perhaps.
        max_session_keys=pb.UInt32Value(value=0),
        common_tls_context=pb.CommonTlsContext(
            tls_params=tls_parameters(),
            alpn_protocols=["h2"],
            validation_context_sds_secret_config=trust_bundle(),
            custom_tls_certificate_selector=typed("on-demand", selector),
        ),
    )
