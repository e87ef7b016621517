"""The node proxy's whole configuration, put together from its features."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from sidestep.mesh.model import Policy, Workload
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import inbound, names, outbound, plain, tunnel
from sidestep.node.translator.parts import (
    original_destination_cluster,
)
from sidestep.node.translator.policy import Arrival, rbac
from sidestep.node.view import MeshView
from sidestep.wire import envoy as pb

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def static_clusters(settings: NodeSettings) -> tuple[pb.Cluster, ...]:
    """The clusters that every node proxy has from its start."""
    return (
        tunnel.tunnel_cluster(settings),
        original_destination_cluster(settings, names.APPLICATION_CLUSTER),
        original_destination_cluster(settings, names.OUTSIDE_CLUSTER),
    )


def listeners(
    settings: NodeSettings, view: MeshView, pods: Iterable[Pod], mesh_addresses: Sequence[str]
) -> Iterator[pb.Listener]:
    """The shared internal listener, and four for each pod; `mesh_addresses` are those of `outside_ranges`."""
    yield tunnel.tunnel_listener(settings)
    for pod in pods:
        yield outbound.outbound_listener(settings, pod, workload_of(view, pod), mesh_addresses)
        yield inbound.tunnel_listener(settings, pod)
        yield plain.plaintext_listener(settings, pod)
        yield plain.same_node_listener(settings, pod)


def policies(settings: NodeSettings, view: MeshView, pod: Pod) -> Iterator[pb.TypedExtensionConfig]:
    """The policy of each of the pod's three ways in."""
    applied = _policies_for(settings, view, pod)
    listener = names.tunnel_listener(pod.uid)
    yield from inbound.http_policies(listener, rbac(applied, pod.addresses, Arrival.TUNNEL))
    listener = names.plaintext_listener(pod.uid)
    yield from plain.network_policies(listener, rbac(applied, pod.addresses, Arrival.PLAINTEXT))
    listener = names.same_node_listener(pod.uid)
    yield from plain.network_policies(listener, rbac(applied, pod.addresses, Arrival.SAME_NODE))


def workload_of(view: MeshView, pod: Pod) -> Workload | None:
    """The pod as the mesh describes it."""
    return view.workload_named(pod.namespace, pod.name, pod.addresses[0]) if pod.addresses else None


def outside_ranges(settings: NodeSettings, addresses: Iterable[str]) -> Sequence[str]:
    """Those addresses and blocks that no mesh range contains, e.g. the ones that ServiceEntries name."""
    ranges = [ipaddress.ip_network(block) for block in settings.mesh_ranges]
    return sorted(
        address
        for address in addresses
        if not any(_contains(network, ipaddress.ip_network(address, strict=False)) for network in ranges)
    )


def _contains(outer: _Network, inner: _Network) -> bool:
    return outer.version == inner.version and outer.prefixlen <= inner.prefixlen and inner.network_address in outer


def _policies_for(settings: NodeSettings, view: MeshView, pod: Pod) -> Sequence[Policy]:
    """Before the mesh describes the pod, what is known of its namespace holds already."""
    workload = workload_of(view, pod)
    if workload is None:
        workload = Workload(uid=pod.uid, name=pod.name, namespace=pod.namespace, trust_domain=settings.trust_domain)
    return view.policies_for(workload)
