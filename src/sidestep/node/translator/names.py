"""Names of the node proxy's resources and of the filter state and metadata that its filters pass on."""

from __future__ import annotations

APPLICATION_CLUSTER = "application"
OUTSIDE_CLUSTER = "outside"
TUNNEL = "tunnel"
TRUST_BUNDLE = "trust-bundle"
DESTINATION_PREFIX = "outbound|"

# Filter state that Envoy itself reads.
CLUSTER_KEY = "envoy.tcp_proxy.cluster"
NETWORK_NAMESPACE_KEY = "envoy.network.upstream_bind_override.network_namespace"
CERTIFICATE_KEY = "envoy.tls.certificate_mappers.on_demand_secret"
ORIGINAL_DESTINATION_KEY = "envoy.network.transport_socket.original_dst_address"
SERVER_NAMES_KEY = "envoy.network.upstream_subject_alt_names"
REMOTE_ADDRESS_KEY = "envoy.filters.listener.original_dst.remote_ip"

# Filter state of ours.
SOURCE_IDENTITY_KEY = "sidestep.source.identity"
SOURCE_POD_KEY = "sidestep.source.pod"
SOURCE_NAME_KEY = "sidestep.source.name"
SOURCE_NAMESPACE_KEY = "sidestep.source.namespace"
BAGGAGE_KEY = "sidestep.baggage"
FORWARDED_KEY = "sidestep.forwarded"
TRACE_PARENT_KEY = "sidestep.traceparent"
TARGET_KEY = "sidestep.target"
SOURCE_ADDRESS_KEY = "sidestep.source.address"

# Metadata of endpoints and of clusters.
ENDPOINT_METADATA = "sidestep"
ORIGINAL_DST_METADATA = "envoy.filters.listener.original_dst"

OUTBOUND_PORT, PLAINTEXT_PORT, TUNNEL_PORT, DNS_PORT = 15001, 15006, 15008, 15053
PROXY_PORTS = (OUTBOUND_PORT, PLAINTEXT_PORT, TUNNEL_PORT)


def outbound_listener(uid: str) -> str:
    """The listener of the pod's captured outbound connections."""
    return f"outbound|{uid}"


def tunnel_listener(uid: str) -> str:
    """The listener of HBONE connections to the pod."""
    return f"inbound|{uid}"


def plaintext_listener(uid: str) -> str:
    """The listener of captured plaintext connections to the pod."""
    return f"plaintext|{uid}"


def same_node_listener(uid: str) -> str:
    """The internal listener of connections from pods of the same node."""
    return f"same-node|{uid}"


def client_certificate(identity: str) -> str:
    """The secret that Envoy asks for when a first connection of this identity leaves the node.

    It has a name of its own: Envoy does not answer a new subscription from a secret that it already has.
    """
    return f"client|{identity}"


def server_certificate(identity: str) -> str:
    """The secret of the listeners of pods with this identity."""
    return f"server|{identity}"


def parse_certificate(secret: str) -> str | None:
    """The identity in the name of a certificate's secret, None when it is none."""
    role, separator, identity = secret.partition("|")
    return identity if separator and role in {"client", "server"} else None


def policy(listener: str) -> str:
    """The ECDS resource with the policy of a listener."""
    return f"policy|{listener}"


def destination_cluster(address: str, port: int) -> str:
    """The cluster for connections that aim at `address:port`, written as Envoy writes an address."""
    return DESTINATION_PREFIX + join_address(address, port)


def parse_destination(cluster: str) -> tuple[str, int] | None:
    """(address, port) of a destination cluster's name, None when it is not one."""
    if not cluster.startswith(DESTINATION_PREFIX):
        return None
    address, separator, port = cluster.removeprefix(DESTINATION_PREFIX).rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 65536:
        return None
    return address.strip("[]"), int(port)


def join_address(address: str, port: int) -> str:
    """`10.0.0.1:80` or `[fd00::1]:80`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
