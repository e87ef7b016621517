"""Links, addresses and routes of the current network namespace, each made only if it is not there yet."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from sidestep.local.errors import OperatingSystemError

_NO_DUPLICATE_DETECTION = 0x02
_MAIN_TABLE = 254
_SCOPE_LINK = 253

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Links:
    """A netlink socket of the namespace in which it was opened."""

    def __init__(self, netlink: Any) -> None:
        self._netlink = netlink

    def index(self, name: str) -> int | None:
        """The link's number; None if there is no such link."""
        found = self._netlink.link_lookup(ifname=name)
        return int(found[0]) if found else None

    def names(self) -> tuple[str, ...]:
        return tuple(str(link.get_attr("IFLA_IFNAME")) for link in self._netlink.get_links())

    def bridge(self, name: str) -> None:
        """A bridge that forwards at once (no spanning tree), up.

        It gets a hardware address of its own: otherwise it takes one from its ports, another whenever the ports
        change, and for half a minute its neighbours send to the one that is gone.
        """
        if self.index(name) is None:
            options = {"ifname": name, "kind": "bridge", "address": hardware_address()}
            self._call(f"make the bridge {name}", lambda: self._netlink.link("add", **options))
        self.up(name)

    def veth(self, name: str, *, peer: str, peer_namespace: int, bridge: str) -> None:
        """A pair: `name` here, on `bridge`; `peer` in the namespace that the descriptor `peer_namespace` names."""
        if self.index(name) is None:
            end = {"ifname": peer, "net_ns_fd": peer_namespace}
            self._call(f"make the link {name}", lambda: self._netlink.link("add", ifname=name, kind="veth", peer=end))
        index, master = self._require(name), self._require(bridge)
        self._call(f"put {name} on {bridge}", lambda: self._netlink.link("set", index=index, master=master))
        self.up(name)

    def up(self, name: str) -> None:
        index = self._require(name)
        self._call(f"set {name} up", lambda: self._netlink.link("set", index=index, state="up"))

    def delete(self, name: str) -> None:
        """Missing: nothing to do."""
        index = self.index(name)
        if index is not None:
            self._call(
                f"delete the link {name}",
                lambda: self._netlink.link("del", index=index),
                harmless=frozenset({errno.ENODEV}),
            )

    def address(self, name: str, address: Address, prefix_length: int) -> None:
        options: dict[str, Any] = {"flags": _NO_DUPLICATE_DETECTION} if address.version == 6 else {}
        index = self._require(name)
        self._call(
            f"give {name} the address {address}/{prefix_length}",
            lambda: self._netlink.addr("add", index=index, address=str(address), prefixlen=prefix_length, **options),
            harmless=frozenset({errno.EEXIST}),
        )

    def route(self, destination: Network, *, link: str, gateway: Address | None = None) -> None:
        """Through `gateway`, or straight onto the link."""
        options: dict[str, Any] = {"oif": self._require(link), "dst": str(destination)}
        options["family"] = socket.AF_INET if destination.version == 4 else socket.AF_INET6
        if gateway is not None:
            options["gateway"] = str(gateway)
        elif destination.version == 4:
            options["scope"] = _SCOPE_LINK
        self._call(f"route {destination}", lambda: self._netlink.route("replace", **options))

    def networks(self) -> tuple[IPv4Network, ...]:
        """Where the IPv4 routes of the main table lead, without the default route."""
        found = []
        for route in self._netlink.get_routes(family=socket.AF_INET, table=_MAIN_TABLE):
            destination = route.get_attr("RTA_DST")
            if destination:
                found.append(IPv4Network(f"{destination}/{route['dst_len']}"))
        return tuple(found)

    def _require(self, name: str) -> int:
        index = self.index(name)
        if index is None:
            raise OperatingSystemError(f"the link {name} is gone: something else on this host deleted it")
        return index

    def _call(self, purpose: str, call: Callable[[], object], *, harmless: frozenset[int] = frozenset()) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            call()
        except NetlinkError as error:
            if error.code not in harmless:
                raise OperatingSystemError(f"cannot {purpose}: {error}") from error


@contextmanager
def open_links() -> Iterator[Links]:
    """Netlink in the calling thread's network namespace."""
    # late: it takes a third of a second, and most commands need no netlink
    from pyroute2 import IPRoute

    with IPRoute() as netlink:
        yield Links(netlink)


def hardware_address() -> str:
    """A random one, of the locally administered kind."""
    return ":".join(f"{octet:02x}" for octet in (0x02, *secrets.token_bytes(5)))


def set_kernel(setting: str, value: int) -> None:
    """A sysctl (`net/ipv4/ip_forward`) of the calling thread's namespace; one the kernel lacks is left out."""
    path = Path("/proc/sys") / setting
    if path.exists():
        path.write_text(str(value))


def has_ipv6() -> bool:
    """True unless the kernel runs without IPv6."""
    disabled = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    return disabled.exists() and disabled.read_text().strip() == "0"
