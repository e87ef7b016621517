"""The node proxy's access log: one JSON line a connection, with the fields that ambient's node proxy logs."""

from __future__ import annotations

from collections.abc import Mapping

from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import names
from sidestep.wire import envoy as pb

_OUTCOME = {
    "start_time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "duration_ms": "%DURATION%",
    "bytes_sent": "%BYTES_RECEIVED%",
    "bytes_recv": "%BYTES_SENT%",
    "response_flags": "%RESPONSE_FLAGS%",
    "error": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "details": "%CONNECTION_TERMINATION_DETAILS%",
}


def _state(key: str) -> str:
    return f"%FILTER_STATE({key}:PLAIN)%"


def _source() -> dict[str, str]:
    return {
        "src.workload": _state(names.SOURCE_NAME_KEY),
        "src.namespace": _state(names.SOURCE_NAMESPACE_KEY),
        "src.identity": _state(names.SOURCE_IDENTITY_KEY),
    }


def _endpoint(command: str) -> dict[str, str]:
    """Fields of the chosen endpoint, from its metadata by `command` (UPSTREAM_METADATA or DYNAMIC_METADATA)."""
    fields = {
        "dst.workload": "name",
        "dst.namespace": "namespace",
        "dst.service": "service",
    }
    return {name: f"%{command}({names.ENDPOINT_METADATA}:{key})%" for name, key in fields.items()}


def _log(settings: NodeSettings, fields: Mapping[str, str]) -> pb.AccessLog:
    log_format = pb.SubstitutionFormatString(omit_empty_values=True)
    log_format.json_format.update(fields)
    return pb.AccessLog(
        name="file", typed_config=pb.any_of(pb.FileAccessLog(path=settings.access_log, log_format=log_format))
    )


def outbound_plain(settings: NodeSettings) -> pb.AccessLog:
    """Connections that left the node in plain text, and those that found no destination."""
    log = _log(
        settings,
        {
            "direction": "outbound",
            "path": "plain",
            "src.addr": "%DOWNSTREAM_REMOTE_ADDRESS%",
            **_source(),
            "dst.addr": "%UPSTREAM_HOST%",
            "dst.target": "%DOWNSTREAM_LOCAL_ADDRESS%",
            **_endpoint("UPSTREAM_METADATA"),
            "dst.service": f"%CLUSTER_METADATA({names.ENDPOINT_METADATA}:service)%",
            "refused": f"%CLUSTER_METADATA({names.ENDPOINT_METADATA}:refused)%",
            **_OUTCOME,
        },
    )
    log.filter.extension_filter.name = "left-in-plain-text"
    log.filter.extension_filter.typed_config.CopyFrom(
        pb.any_of(
            pb.CelExpressionFilter(expression="!has(upstream.address) || !upstream.address.startsWith('envoy://')")
        )
    )
    return log


def outbound_tunnel(settings: NodeSettings) -> pb.AccessLog:
    """Connections over HBONE, as their source's node saw them."""
    return _log(
        settings,
        {
            "direction": "outbound",
            "path": "hbone",
            "src.addr": _state(names.SOURCE_ADDRESS_KEY),
            **_source(),
            "dst.addr": f"%DYNAMIC_METADATA({names.ENDPOINT_METADATA}:destination)%",
            "dst.target": _state(names.TARGET_KEY),
            "dst.hbone_addr": f"%DYNAMIC_METADATA({names.ENDPOINT_METADATA}:tunnel)%",
            **_endpoint("DYNAMIC_METADATA"),
            "dst.identity": "%UPSTREAM_PEER_URI_SAN%",
            "tls_version": "%UPSTREAM_TLS_VERSION%",
            "traceparent": _state(names.TRACE_PARENT_KEY),
            **_OUTCOME,
        },
    )


def failures(settings: NodeSettings) -> pb.AccessLog:
    """Connections that did not reach the endpoint which was chosen for them: food for outlier detection."""
    log_format = pb.SubstitutionFormatString()
    log_format.json_format.update({"destination": f"%DYNAMIC_METADATA({names.ENDPOINT_METADATA}:destination)%"})
    log = pb.AccessLog(
        name="failures",
        typed_config=pb.any_of(pb.FileAccessLog(path=settings.failure_log, log_format=log_format)),
    )
    log.filter.response_flag_filter.flags.extend(["UF", "UH", "UPE"])
    return log


def same_node(settings: NodeSettings, pod: Pod) -> pb.AccessLog:
    """Connections between two pods of this node, which never leave Envoy."""
    return _log(
        settings,
        {
            "direction": "outbound",
            "path": "same-node",
            "src.addr": "%DOWNSTREAM_REMOTE_ADDRESS%",
            **_source(),
            "dst.addr": "%DOWNSTREAM_LOCAL_ADDRESS%",
            "dst.target": _state(names.TARGET_KEY),
            **_endpoint("DYNAMIC_METADATA"),
            "dst.identity": pod.identity(settings.trust_domain),
            "traceparent": _state(names.TRACE_PARENT_KEY),
            **_OUTCOME,
        },
    )


def inbound_tunnel(settings: NodeSettings, pod: Pod) -> pb.AccessLog:
    """HBONE streams to a pod of this node, as its node saw them."""
    return _log(
        settings,
        {
            "direction": "inbound",
            "path": "hbone",
            "src.addr": "%DOWNSTREAM_REMOTE_ADDRESS%",
            "src.identity": "%DOWNSTREAM_PEER_URI_SAN%",
            "dst.addr": "%REQ(:AUTHORITY)%",
            "dst.hbone_addr": "%DOWNSTREAM_LOCAL_ADDRESS%",
            "dst.workload": pod.name,
            "dst.namespace": pod.namespace,
            "dst.identity": pod.identity(settings.trust_domain),
            "tls_version": "%DOWNSTREAM_TLS_VERSION%",
            "response_code": "%RESPONSE_CODE%",
            "response_details": "%RESPONSE_CODE_DETAILS%",
            "traceparent": "%REQ(TRACEPARENT)%",
            **_OUTCOME,
        },
    )


def inbound_plain(settings: NodeSettings, pod: Pod) -> pb.AccessLog:
    """Plain connections to a pod of this node, admitted or refused."""
    return _log(
        settings,
        {
            "direction": "inbound",
            "path": "plain",
            "src.addr": "%DOWNSTREAM_REMOTE_ADDRESS%",
            "dst.addr": "%DOWNSTREAM_LOCAL_ADDRESS%",
            "dst.workload": pod.name,
            "dst.namespace": pod.namespace,
            "dst.identity": pod.identity(settings.trust_domain),
            **_OUTCOME,
        },
    )
