"""The instance's network: a bridge on the host, a namespace for each node and each pod. Blocking: call on a thread.

Everything is made only where it is missing, and everything is found again by the instance's name prefix, so a crash
at any point leaves nothing that `remove` does not find.

Pods have host routes only (a /32 and a /128), so that two pods of one node talk through the node's routing, not
past it over the bridge: address translation in the node then sees both directions of a connection.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from sidestep.local import namespaces
from sidestep.local.errors import OperatingSystemError
from sidestep.local.instance import Instance, NodePlan, free_slot, pod_link
from sidestep.local.links import has_ipv6, open_links, set_kernel

POD_BRIDGE = "pods"
_EVERYWHERE4 = IPv4Network("0.0.0.0/0")
_EVERYWHERE6 = IPv6Network("::/0")
_NODE_SETTINGS = {
    "net/ipv4/ip_forward": 1,
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/default/send_redirects": 0,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    # what crosses the bridge is routed, and translated there; a second pass would translate it twice
    "net/bridge/bridge-nf-call-iptables": 0,
    "net/bridge/bridge-nf-call-ip6tables": 0,
    "net/bridge/bridge-nf-call-arptables": 0,
}
_NODE_SETTINGS6 = {
    "net/ipv6/conf/all/disable_ipv6": 0,
    "net/ipv6/conf/default/disable_ipv6": 0,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/default/accept_dad": 0,
}
_POD_SETTINGS = {
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/all/accept_redirects": 0,
    "net/ipv4/ip_unprivileged_port_start": 0,
}
_POD_SETTINGS6 = {
    "net/ipv6/conf/all/disable_ipv6": 0,
    "net/ipv6/conf/default/disable_ipv6": 0,
    "net/ipv6/conf/default/accept_dad": 0,
    "net/ipv6/conf/default/accept_redirects": 0,
    "net/ipv6/conf/default/accept_ra": 0,
}


@contextmanager
def allocation_lock() -> Iterator[None]:
    """One instance of the host at a time chooses its ranges. An abstract socket: it leaves no file and dies with us."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        deadline = time.monotonic() + 30
        while True:
            try:
                lock.bind("\0sidestep-address-ranges")
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise OperatingSystemError("another `sidestep up` has been making its network for 30 s") from error
                time.sleep(0.05)
        yield


def choose_slot() -> tuple[int, bool]:
    """A free address plan, and whether this host does IPv6."""
    with open_links() as links:
        return free_slot(links.networks()), has_ipv6()


def create_host(instance: Instance) -> None:
    """The bridge that joins the nodes to each other and to this host."""
    with open_links() as links:
        links.bridge(instance.bridge)
        links.address(instance.bridge, instance.host_address, instance.underlay.prefixlen)
        if instance.ipv6:
            set_kernel(f"net/ipv6/conf/{instance.bridge}/accept_dad", 0)
            links.address(instance.bridge, instance.host_address6, instance.underlay6.prefixlen)


def create_node(plan: NodePlan) -> None:
    """The node's namespace, its link to the host's bridge, its pod bridge, and the routes of both sides."""
    instance = plan.instance
    namespaces.create(plan.namespace)
    namespaces.run_in(plan.namespace, lambda: _settings(_NODE_SETTINGS, _NODE_SETTINGS6, ipv6=instance.ipv6))
    with open_links() as links, namespaces.path_of(plan.namespace).open("rb") as namespace:
        links.veth(plan.host_link, peer="eth0", peer_namespace=namespace.fileno(), bridge=instance.bridge)
    namespaces.run_in(plan.namespace, lambda: _fill_node(plan))
    with open_links() as links:
        links.route(plan.pods, link=instance.bridge, gateway=plan.address)
        if instance.ipv6:
            links.route(plan.pods6, link=instance.bridge, gateway=plan.address6)


def create_pod(plan: NodePlan, uid: str, address: IPv4Address, address6: IPv6Address | None) -> str:
    """The pod's namespace and its link to the node's bridge; returns the namespace's name."""
    name = plan.instance.pod_namespace(uid)
    namespaces.create(name)
    namespaces.run_in(name, lambda: _settings(_POD_SETTINGS, _POD_SETTINGS6, ipv6=address6 is not None))

    def attach() -> None:
        with open_links() as links, namespaces.path_of(name).open("rb") as namespace:
            links.veth(pod_link(uid), peer="eth0", peer_namespace=namespace.fileno(), bridge=POD_BRIDGE)

    namespaces.run_in(plan.namespace, attach)
    namespaces.run_in(name, lambda: _fill_pod(plan, address, address6))
    return name


def remove_pod(plan: NodePlan, uid: str) -> None:
    """Also when Envoy still holds sockets in the namespace: the link goes first."""

    def detach() -> None:
        with open_links() as links:
            links.delete(pod_link(uid))

    if namespaces.inode(plan.namespace) is not None:
        namespaces.run_in(plan.namespace, detach)
    namespaces.remove(plan.instance.pod_namespace(uid))


def leftovers(instance_id: str) -> tuple[str, ...]:
    """Namespaces and links of the instance that exist now."""
    with open_links() as links:
        mine = tuple(name for name in links.names() if name.startswith(f"ss{instance_id}"))
    return namespaces.with_prefix(f"ss{instance_id}-") + mine


def remove(instance_id: str) -> None:
    """Every namespace and link of the instance; routes go with their links."""
    for name in namespaces.with_prefix(f"ss{instance_id}-"):
        namespaces.remove(name)
    with open_links() as links:
        # the bridge last: its ports first, so that nothing is reparented
        for name in sorted((n for n in links.names() if n.startswith(f"ss{instance_id}")), key=len, reverse=True):
            links.delete(name)


def _fill_node(plan: NodePlan) -> None:
    instance = plan.instance
    others = [other for other in instance.node_plans() if other.name != plan.name]
    with open_links() as links:
        links.up("lo")
        links.up("eth0")
        links.address("eth0", plan.address, instance.underlay.prefixlen)
        links.bridge(POD_BRIDGE)
        set_kernel(f"net/ipv4/conf/{POD_BRIDGE}/send_redirects", 0)
        links.address(POD_BRIDGE, plan.gateway, plan.pods.prefixlen)
        links.route(_EVERYWHERE4, link="eth0", gateway=instance.host_address)
        for other in others:
            links.route(other.pods, link="eth0", gateway=other.address)
        if instance.ipv6:
            links.address("eth0", plan.address6, instance.underlay6.prefixlen)
            links.address(POD_BRIDGE, plan.gateway6, plan.pods6.prefixlen)
            links.route(_EVERYWHERE6, link="eth0", gateway=instance.host_address6)
            for other in others:
                links.route(other.pods6, link="eth0", gateway=other.address6)


def _fill_pod(plan: NodePlan, address: IPv4Address, address6: IPv6Address | None) -> None:
    with open_links() as links:
        links.up("lo")
        links.up("eth0")
        links.address("eth0", address, address.max_prefixlen)
        links.route(IPv4Network(plan.gateway), link="eth0")
        links.route(_EVERYWHERE4, link="eth0", gateway=plan.gateway)
        if address6 is not None:
            links.address("eth0", address6, address6.max_prefixlen)
            links.route(IPv6Network(plan.gateway6), link="eth0")
            links.route(_EVERYWHERE6, link="eth0", gateway=plan.gateway6)


def _settings(always: dict[str, int], with_ipv6: dict[str, int], *, ipv6: bool) -> None:
    for setting, value in always.items():
        set_kernel(setting, value)
    if ipv6:
        for setting, value in with_ipv6.items():
            set_kernel(setting, value)
