"""A pod's captured outbound connections: the listener on 15001 in its namespace.

It says who the source is and picks the cluster by the address that the application aimed at; the cluster itself is
discovered when the first connection needs it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence

from sidestep.envoy.config import (
    Sharing,
    ads_config_source,
    duration,
    filter_state,
    literal,
)
from sidestep.mesh.model import Workload
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import access_log, destinations, names
from sidestep.node.translator.parts import (
    access_logs,
    both_families,
    dial_from,
    network_filter,
    original_destination,
    pooled_state,
    set_filter_state,
    text_state,
)
from sidestep.wire import envoy as pb

# Longer than a restart of the agent takes: a first connection waits for it instead of failing.
DISCOVERY_SECONDS = 15
# One more than make an endpoint rest: one that refuses connections then costs no request.
CONNECT_ATTEMPTS = destinations.FAILURES_BEFORE_REST + 1


def outbound_listener(
    settings: NodeSettings, pod: Pod, workload: Workload | None, mesh_addresses: Iterable[str]
) -> pb.Listener:
    """The listener.

    `workload` is the pod as the mesh describes it, when it does already. `mesh_addresses` are those of services and
    workloads outside `settings.mesh_ranges`, e.g. the addresses that a ServiceEntry names.
    """
    address, additional = both_families(pod, names.OUTBOUND_PORT)
    source = _source(settings, pod, workload)
    # Envoy refuses a listener in which two chains name the same block.
    mesh = [_cidr(block) for block in sorted({*settings.mesh_ranges, *mesh_addresses} - {*settings.outside})]
    chains = [_chain("mesh", [source, _by_address(), *_to_mesh(settings)], mesh)] if mesh else []
    if settings.outside:
        nodes = [_cidr(each) for each in sorted({*settings.outside})]
        chains.append(_chain("nodes", [source, *_to_outside(settings)], nodes))
    return pb.Listener(
        name=names.outbound_listener(pod.uid),
        address=address,
        additional_addresses=additional,
        listener_filters=[original_destination()],
        filter_chains=chains,
        default_filter_chain=_chain("outside", [source, *_to_outside(settings)], []),
    )


def _chain(name: str, filters: Sequence[pb.Filter], destinations: Sequence[pb.CidrRange]) -> pb.FilterChain:
    chain = pb.FilterChain(name=name, filters=filters)
    if destinations:
        chain.filter_chain_match.prefix_ranges.extend(destinations)
    return chain


def _by_address() -> pb.Filter:
    """Names the cluster by the address that the application aimed at."""
    return set_filter_state(filter_state(names.CLUSTER_KEY, names.DESTINATION_PREFIX + "%DOWNSTREAM_LOCAL_ADDRESS%"))


def _to_mesh(settings: NodeSettings) -> list[pb.Filter]:
    """The cluster is discovered when a first connection needs it."""
    proxy = pb.TcpProxy(
        stat_prefix="outbound",
        cluster="none",
        access_log=access_logs(settings, [access_log.outbound_plain(settings)]),
        on_demand=pb.TcpProxy.OnDemand(odcds_config=ads_config_source(), timeout=duration(DISCOVERY_SECONDS)),
        max_connect_attempts=pb.UInt32Value(value=CONNECT_ATTEMPTS),
        idle_timeout=duration(0),
    )
    return [network_filter("tcp-proxy", proxy)]


def _to_outside(settings: NodeSettings) -> list[pb.Filter]:
    """Not the mesh's business: plain TCP to where the application aimed, with or without an agent."""
    proxy = pb.TcpProxy(
        stat_prefix="outside",
        cluster=names.OUTSIDE_CLUSTER,
        access_log=access_logs(settings, [access_log.outbound_plain(settings)]),
        idle_timeout=duration(0),
    )
    return [network_filter("tcp-proxy", proxy)]


def _cidr(block: str) -> pb.CidrRange:
    network = ipaddress.ip_network(block, strict=False)
    return pb.CidrRange(address_prefix=str(network.network_address), prefix_len=pb.UInt32Value(value=network.prefixlen))


def _source(settings: NodeSettings, pod: Pod, workload: Workload | None) -> pb.Filter:
    identity = pod.identity(settings.trust_domain)
    return set_filter_state(
        dial_from(pod),
        pooled_state(names.CERTIFICATE_KEY, names.client_certificate(identity)),
        pooled_state(names.SOURCE_POD_KEY, pod.uid),
        text_state(names.SOURCE_IDENTITY_KEY, identity),
        text_state(names.SOURCE_NAME_KEY, pod.name),
        text_state(names.SOURCE_NAMESPACE_KEY, pod.namespace),
        text_state(names.SOURCE_ADDRESS_KEY, "%DOWNSTREAM_REMOTE_ADDRESS%"),
        # Not further than to the next listener: it would keep every tunnel to itself, as part of the pools' key.
        filter_state(names.REMOTE_ADDRESS_KEY, "%DOWNSTREAM_REMOTE_ADDRESS%", shared=Sharing.ONCE),
        text_state(names.TARGET_KEY, "%DOWNSTREAM_LOCAL_ADDRESS%"),
        text_state(names.FORWARDED_KEY, 'for="%DOWNSTREAM_REMOTE_ADDRESS%"'),
        text_state(names.BAGGAGE_KEY, literal(baggage(settings, pod, workload))),
        text_state(names.TRACE_PARENT_KEY, _trace_parent(settings.node)),
    )


def baggage(settings: NodeSettings, pod: Pod, workload: Workload | None) -> str:
    """The source's description, in the keys that ambient's `baggage` header has."""
    items = {"k8s.cluster.name": settings.cluster_id, "k8s.namespace.name": pod.namespace}
    if workload is None:
        items["k8s.pod.name"] = pod.name
    else:
        items[f"k8s.{workload.workload_type}.name"] = workload.workload_name or workload.name
        items |= {
            "service.name": workload.canonical_name,
            "service.version": workload.canonical_revision,
            "cloud.region": workload.locality.region,
            "cloud.availability_zone": workload.locality.zone,
        }
    return ",".join(f"{key}={value}" for key, value in items.items() if value)


def _trace_parent(node: str) -> str:
    """A W3C traceparent, unique by node and nanosecond; its digits are decimal, which hexadecimal digits may be."""
    prefix = hashlib.sha256(node.encode()).hexdigest()[:13]
    return f"00-{prefix}%START_TIME(%s%9f)%-%START_TIME(%s%6f)%-00"
