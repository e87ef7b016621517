"""Sockets in a pod's network namespace, or in the node's own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

import msgspec

from sidestep.node.namespaces import in_namespace

MARK = 0x539
"""Packets with this mark are never captured; the rules are those of `sidestep.node.capture`."""

Result = TypeVar("Result")
_WITHOUT_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
_BACKLOG = 64
_RECEIVE_BUFFER_BYTES = 1 << 20


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where sockets are opened."""

    network_namespace: str = ""
    """Path of a pod's; "" for the one of this process."""

    async def run(self, function: Callable[[], Result]) -> Result:
        """`function()` in that namespace; OSError when it is gone."""
        return await in_namespace(self.network_namespace, function) if self.network_namespace else function()

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

    udp: tuple[socket.socket, ...]
    tcp: tuple[socket.socket, ...]

    def close(self) -> None:
        """Closes them all."""
        for opened in (*self.udp, *self.tcp):
            opened.close()


def family_of(address: str) -> socket.AddressFamily:
    """The family of a textual IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(location: Location, addresses: tuple[str, ...], port: int) -> Listeners:
    """Binds `port` at each address that the namespace has; OSError when it has none or the port is taken.

    A namespace may lack an address, mostly ::1 where IPv6 is off. To be called inside `location.run`.
    """
    pairs: list[tuple[socket.socket, socket.socket]] = []
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
                pairs.append((opened.enter_context(pair[0]), opened.enter_context(pair[1])))
        if missing is not None and not pairs:
            raise missing
        opened.pop_all()
    return Listeners(tuple(udp for udp, _ in pairs), tuple(tcp for _, tcp in pairs))


def _listen_at(location: Location, address: str, port: int) -> tuple[socket.socket, socket.socket]:
    with ExitStack() as opened:
        datagrams = opened.enter_context(location.open(family_of(address), socket.SOCK_DGRAM))
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        datagrams.bind((address, port))
        streams = opened.enter_context(location.open(family_of(address), socket.SOCK_STREAM))
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        streams.bind((address, port))
        streams.listen(_BACKLOG)
        opened.pop_all()
    return datagrams, streams
