"""Sockets in a pod's network namespace, or in the node's own."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack

import msgspec

from sidestep.node.namespaces import in_namespace

MARK = 0x539
"""Packets with this mark are never captured; the rules are those of `sidestep.node.capture`."""

_WITHOUT_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
_IP_FREEBIND, _IPV6_FREEBIND = (socket.IPPROTO_IP, 15), (socket.IPPROTO_IPV6, 78)
"""From linux/in.h and linux/in6.h; Python does not have them."""
_BACKLOG = 64
_RECEIVE_BUFFER_BYTES = 1 << 20


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where sockets are opened."""

    network_namespace: str = ""
    """Path of a pod's; "" for the one of this process."""

    async def run(self, function: Callable[[], list[socket.socket]]) -> list[socket.socket]:
        """The sockets that `function` opens in that namespace; OSError when it is gone."""
        if not self.network_namespace:
            return function()
        opening = asyncio.ensure_future(in_namespace(self.network_namespace, function))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread cannot be cancelled; what it opens is nobody's then.
            opening.add_done_callback(_close_opened)
            raise

    def open(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A non-blocking socket, marked when it is a pod's. To be called inside `run`."""
        opened = socket.socket(family, kind)
        try:
            opened.setblocking(False)
            if self.network_namespace:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        except BaseException:
            opened.close()
            raise
        return opened

    def bind_freely(self, opened: socket.socket) -> None:
        """In a pod, lets it be bound before the loopback link is up, which happens when capture begins."""
        if self.network_namespace:
            opened.setsockopt(*(_IPV6_FREEBIND if opened.family == socket.AF_INET6 else _IP_FREEBIND), 1)

    def exists(self) -> tuple[int, int] | None:
        """Which namespace it is, as (device, inode); None: gone. The node's own never is."""
        if not self.network_namespace:
            return (0, 0)
        try:
            found = os.stat(self.network_namespace)  # noqa: PTH116 - called once a second for each pod
        except OSError:
            return None
        return (found.st_dev, found.st_ino)


class Listeners(msgspec.Struct, frozen=True):
    """Bound sockets, UDP and TCP in pairs."""

    sockets: list[socket.socket]

    @property
    def udp(self) -> list[socket.socket]:
        """Those for datagrams."""
        return [one for one in self.sockets if one.type == socket.SOCK_DGRAM]

    @property
    def tcp(self) -> list[socket.socket]:
        """Those that accept connections."""
        return [one for one in self.sockets if one.type == socket.SOCK_STREAM]

    def close(self) -> None:
        """Closes them all."""
        for one in self.sockets:
            one.close()


def family_of(address: str) -> socket.AddressFamily:
    """The family of a textual IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def is_address(text: str) -> bool:
    """Whether `text` is a textual IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


async def listen(location: Location, addresses: tuple[str, ...], port: int) -> Listeners:
    """Binds `port` at each address that the namespace has; OSError when it has none or the port is taken.

    A namespace may lack an address, mostly ::1 where IPv6 is off.
    """
    return Listeners(await location.run(lambda: _listen(location, addresses, port)))


def _listen(location: Location, addresses: tuple[str, ...], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    with ExitStack() as opened:
        for address in addresses:
            try:
                pair = _listen_at(location, address, port)
            except OSError as error:
                if error.errno not in _WITHOUT_ADDRESS:
                    raise
                missing = error
            else:
                sockets += (opened.enter_context(one) for one in pair)
        if missing is not None and not sockets:
            raise missing
        opened.pop_all()
    return sockets


def _listen_at(location: Location, address: str, port: int) -> tuple[socket.socket, socket.socket]:
    with ExitStack() as opened:
        datagrams = opened.enter_context(location.open(family_of(address), socket.SOCK_DGRAM))
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        location.bind_freely(datagrams)
        datagrams.bind((address, port))
        streams = opened.enter_context(location.open(family_of(address), socket.SOCK_STREAM))
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        location.bind_freely(streams)
        streams.bind((address, port))
        streams.listen(_BACKLOG)
        opened.pop_all()
    return datagrams, streams


def _close_opened(opening: asyncio.Future[list[socket.socket]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        for one in opening.result():
            one.close()
