"""One instance of the runtime: its names and address ranges. Pure, apart from reading and writing `instance.json`.

Addresses (k is the first number at which nothing overlaps a route of the host):

    172.30.k.0/24        between the nodes; the host is .1, node n is .10+n
    10.(244-k).n.0/24    pods of node n; the node's bridge is .1
    10.(96+k).0.0/16     services
    fdXX:XXXX:XX00::/48  the same for IPv6, from the instance's id: :0::/64, :1000+n::/64, :ffff::/112
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import msgspec

from sidestep.local.errors import BadDataError, OperatingSystemError, UsageError

MAXIMUM_NODES = 64
_SLOTS = 60


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """What tells an instance from others on the same host."""

    id: str
    slot: int
    """k in the address plan."""
    nodes: tuple[str, ...]
    ipv6: bool = True
    controller_metrics_port: int = 15014
    domain: str = "cluster.local"
    """The suffix of Services' host names."""
    trust_domain: str = "cluster.local"

    @property
    def bridge(self) -> str:
        """The host's bridge that joins the nodes."""
        return f"ss{self.id}"

    @property
    def namespace_prefix(self) -> str:
        """Every network namespace of the instance starts with it."""
        return f"ss{self.id}-"

    def node(self, name: str) -> NodePlan:
        """Names and addresses of one node."""
        return NodePlan(instance=self, name=name, number=self.nodes.index(name) + 1)

    def node_plans(self) -> tuple[NodePlan, ...]:
        """All nodes, in order."""
        return tuple(self.node(name) for name in self.nodes)

    def pod_namespace(self, uid: str) -> str:
        """The name of the network namespace of the pod with that uid."""
        return f"{self.namespace_prefix}p-{short_hash(uid)}"

    @property
    def underlay(self) -> IPv4Network:
        return _underlay(self.slot)

    @property
    def underlay6(self) -> IPv6Network:
        return self._subnet6(0)

    @property
    def pod_range(self) -> IPv4Network:
        return _pods(self.slot)

    @property
    def pod_range6(self) -> IPv6Network:
        return IPv6Network((int(self._site6.network_address) | 0x1000 << 64, 52))

    @property
    def service_range(self) -> IPv4Network:
        return _services(self.slot)

    @property
    def service_range6(self) -> IPv6Network:
        return IPv6Network((int(self._subnet6(0xFFFF).network_address), 112))

    @property
    def host_address(self) -> IPv4Address:
        """The host's address on the bridge: where the controller listens."""
        return self.underlay[1]

    @property
    def host_address6(self) -> IPv6Address:
        return self.underlay6[1]

    @property
    def _site6(self) -> IPv6Network:
        """A unique local /48 (RFC 4193) made from the instance's id, so that instances cannot overlap."""
        return IPv6Network((0xFD << 120 | int(self.id, 16) << 96, 48))

    def _subnet6(self, number: int) -> IPv6Network:
        return IPv6Network((int(self._site6.network_address) | number << 64, 64))


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Names and addresses of one node."""

    instance: Instance
    name: str
    number: int

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"{self.instance.namespace_prefix}{self.name}"

    @property
    def host_link(self) -> str:
        """The host's end of the veth pair to the node."""
        return f"{self.instance.bridge}n{self.number}"

    @property
    def address(self) -> IPv4Address:
        return self.instance.underlay[10 + self.number]

    @property
    def address6(self) -> IPv6Address:
        return self.instance.underlay6[10 + self.number]

    @property
    def pods(self) -> IPv4Network:
        """Its pod range."""
        return IPv4Network((int(self.instance.pod_range.network_address) | self.number << 8, 24))

    @property
    def pods6(self) -> IPv6Network:
        return IPv6Network((int(self.instance.pod_range6.network_address) | self.number << 64, 64))

    @property
    def gateway(self) -> IPv4Address:
        """The address of its pod bridge; the node's cluster DNS answers there."""
        return self.pods[1]

    @property
    def gateway6(self) -> IPv6Address:
        return self.pods6[1]


def short_hash(text: str) -> str:
    """Eight hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def pod_link(uid: str) -> str:
    """The node's end of the veth pair to a pod."""
    return f"p{short_hash(uid)}"


def free_slot(routes: Iterable[IPv4Network]) -> int:
    """The first k at which none of the instance's ranges overlaps `routes` (the host's, without the default one)."""
    taken = [route for route in routes if route.prefixlen > 0]
    for slot in range(_SLOTS):
        ranges = (_underlay(slot), _pods(slot), _services(slot))
        if not any(mine.overlaps(route) for mine in ranges for route in taken):
            return slot
    raise OperatingSystemError(
        "no free address range: every 172.30.k.0/24, 10.(244-k).0.0/16, 10.(96+k).0.0/16 with k from 0 to "
        f"{_SLOTS - 1} overlaps a route of this host; see `ip route`"
    )


def node_names(count: int) -> tuple[str, ...]:
    """`node-1`, `node-2`, …"""
    if not 1 <= count <= MAXIMUM_NODES:
        raise UsageError(f"--nodes must be from 1 to {MAXIMUM_NODES}, not {count}")
    return tuple(f"node-{number}" for number in range(1, count + 1))


def load(path: Path) -> Instance | None:
    """Read `instance.json`; None if there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Instance)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise BadDataError(f"{path} is damaged ({error}); `sidestep down` removes it") from error


def _underlay(slot: int) -> IPv4Network:
    return IPv4Network(f"172.30.{slot}.0/24")


def _pods(slot: int) -> IPv4Network:
    return IPv4Network(f"10.{244 - slot}.0.0/16")


def _services(slot: int) -> IPv4Network:
    return IPv4Network(f"10.{96 + slot}.0.0/16")
