"""HBONE to a pod of this node: the listener on 15008 in its namespace, and the cluster that dials the application."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sidestep.envoy.config import (
    Sharing,
    ads_config_source,
    duration,
    filter_state,
    tls_parameters,
)
from sidestep.mesh.model import Action
from sidestep.node.capture import PROXY_MARK
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import access_log, names
from sidestep.node.translator.parts import (
    access_logs,
    both_families,
    dial_from,
    http2,
    http_filter,
    keepalive,
    trust_bundle,
)
from sidestep.wire import envoy as pb

STREAMS_PER_CONNECTION = 200
IDLE_SECONDS = 300
_CONNECT_UPGRADE = "CONNECT"


def tunnel_listener(settings: NodeSettings, pod: Pod) -> pb.Listener:
    """Terminates mutual TLS and CONNECT. It starts to listen once the pod's certificate is there."""
    address, additional = both_families(pod, names.TUNNEL_PORT)
    name = names.tunnel_listener(pod.uid)
    manager = pb.HttpConnectionManager(
        stat_prefix="inbound",
        codec_type=pb.HttpConnectionManager.HTTP2,
        http2_protocol_options=http2(streams=STREAMS_PER_CONNECTION),
        upgrade_configs=[pb.HttpConnectionManager.UpgradeConfig(upgrade_type=_CONNECT_UPGRADE)],
        route_config=_routes(pod),
        http_filters=[
            *(_policy_filter(name, action) for action in Action),
            _to_application(pod),
            http_filter("original-source", pb.HttpOriginalSrc(mark=PROXY_MARK)),
            http_filter("router", pb.Router(suppress_envoy_headers=True)),
        ],
        access_log=access_logs(settings, [access_log.inbound_tunnel(settings, pod)]),
        local_reply_config=_refusals(),
        stream_idle_timeout=duration(0),
        generate_request_id=pb.BoolValue(value=False),
        # Else the application would see the address that a client writes into x-forwarded-for.
        use_remote_address=pb.BoolValue(value=True),
        skip_xff_append=True,
    )
    # Connections without streams only; clients of ours close theirs sooner.
    manager.common_http_protocol_options.idle_timeout.CopyFrom(duration(IDLE_SECONDS))
    return pb.Listener(
        name=name,
        address=address,
        additional_addresses=additional,
        filter_chains=[
            pb.FilterChain(
                filters=[pb.Filter(name="http", typed_config=pb.any_of(manager))],
                transport_socket=pb.TransportSocket(name="tls", typed_config=pb.any_of(_tls(settings, pod))),
                transport_socket_connect_timeout=duration(10),
            )
        ],
        tcp_keepalive=keepalive(),
    )


def policy_resource(listener: str, action: Action) -> str:
    """Name of the ECDS resource with the rules of one action."""
    return f"{names.policy(listener)}|{action.value}"


def http_policies(listener: str, rules: dict[Action, pb.RBAC]) -> Iterable[pb.TypedExtensionConfig]:
    """The ECDS resources of a tunnel listener. Without rules for an action its filter lets everything pass."""
    for action in Action:
        name = policy_resource(listener, action)
        yield pb.TypedExtensionConfig(name=name, typed_config=pb.any_of(pb.HttpRbacFilter(rules=rules.get(action))))


def _policy_filter(listener: str, action: Action) -> pb.HttpFilter:
    """Rules come over ECDS, so that a policy change replaces no listener and drains nobody."""
    discovery = pb.ExtensionConfigSource(
        config_source=ads_config_source(), type_urls=[pb.TYPE_PREFIX + pb.HttpRbacFilter.DESCRIPTOR.full_name]
    )
    return pb.HttpFilter(name=policy_resource(listener, action), config_discovery=discovery)


def _to_application(pod: Pod) -> pb.HttpFilter:
    return http_filter(
        "to-application",
        pb.HttpSetFilterState(
            on_request_headers=[
                filter_state(names.ORIGINAL_DESTINATION_KEY, "%REQ(:AUTHORITY)%", shared=Sharing.ONCE),
                dial_from(pod),
            ]
        ),
    )


def _tls(settings: NodeSettings, pod: Pod) -> pb.DownstreamTlsContext:
    certificate = names.server_certificate(pod.identity(settings.trust_domain))
    return pb.DownstreamTlsContext(
        require_client_certificate=pb.BoolValue(value=True),
        disable_stateless_session_resumption=True,
        disable_stateful_session_resumption=True,
        common_tls_context=pb.CommonTlsContext(
            tls_params=tls_parameters(),
            alpn_protocols=["h2"],
            tls_certificate_sds_secret_configs=[pb.SdsSecretConfig(name=certificate, sds_config=ads_config_source())],
            validation_context_sds_secret_config=trust_bundle(),
        ),
    )


def _routes(pod: Pod) -> pb.RouteConfiguration:
    """Only CONNECT, only to the pod's own addresses, never to the proxy's own ports; all else is a bad request."""
    return pb.RouteConfiguration(
        name="application",
        virtual_hosts=[
            pb.VirtualHost(
                name="application",
                domains=["*"],
                routes=[
                    *(_refuse_port(port) for port in names.PROXY_PORTS),
                    _connect(pod),
                    _bad_request(pb.RouteMatch(connect_matcher={})),
                    _bad_request(pb.RouteMatch(prefix="/")),
                ],
            )
        ],
    )


def _connect(pod: Pod) -> pb.Route:
    """To an authority in the one spelling that policies compare with: Envoy would dial `:+080` as well as `:80`."""
    route = pb.Route(match=pb.RouteMatch(connect_matcher={}))
    own = "|".join(re.escape(names.join_address(address, 0).removesuffix(":0")) for address in pod.addresses)
    route.match.headers.add(name=":authority").string_match.safe_regex.regex = f"({own}):[1-9][0-9]{{0,4}}"
    route.route.cluster = names.APPLICATION_CLUSTER
    route.route.timeout.CopyFrom(duration(0))
    route.route.idle_timeout.CopyFrom(duration(0))
    route.route.upgrade_configs.add(upgrade_type=_CONNECT_UPGRADE, connect_config={})
    return route


def _refuse_port(port: int) -> pb.Route:
    route = _bad_request(pb.RouteMatch(connect_matcher={}))
    route.match.headers.add(name=":authority").string_match.suffix = f":{port}"
    return route


def _bad_request(match: pb.RouteMatch) -> pb.Route:
    route = pb.Route(match=match)
    route.direct_response.status = 400
    return route


def _refusals() -> pb.LocalReplyConfig:
    """Ambient answers 401 to what policy denies, where Envoy's filter says 403."""
    config = pb.LocalReplyConfig()
    mapper = config.mappers.add()
    comparison = mapper.filter.status_code_filter.comparison
    comparison.value.default_value = 403
    comparison.value.runtime_key = "sidestep.denied"
    mapper.status_code.value = 401
    return config
