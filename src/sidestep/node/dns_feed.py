"""Tells the node's DNS server for which pods it answers."""

from __future__ import annotations

from collections.abc import Iterable

from sidestep.node.options import NodeOptions
from sidestep.node.pods import Pod
from sidestep.wire import agent
from sidestep.xds.cache import Cache
from sidestep.xds.resource import Resource


def captures(options: NodeOptions, pods: Iterable[Pod]) -> Iterable[tuple[str, agent.PodCapture]]:
    """The cluster DNS of the node, and every pod whose queries are captured. Without a DNS address: nothing."""
    if not options.dns_address:
        return
    yield (
        f"node/{options.name}",
        agent.PodCapture(listen_address=options.dns_address, resolvers=options.upstream_dns),
    )
    for pod in pods:
        yield pod.uid, agent.PodCapture(pod=pod.to_wire(), resolvers=pod.resolvers or (options.dns_address,))


def publish_captures(cache: Cache, options: NodeOptions, pods: Iterable[Pod]) -> None:
    """Puts them where the DNS server looks."""
    cache.replace(agent.POD_CAPTURE, [Resource.of(name, capture) for name, capture in captures(options, pods)])
