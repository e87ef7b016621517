"""What listens and who is connected inside a pod's network namespace, as the kernel tells it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sidestep.node.namespaces import in_namespace

ESTABLISHED, LISTENING = "01", "0A"
_ENDED = {"06", "07"}  # TIME_WAIT and CLOSE keep nobody waiting


class Socket(msgspec.Struct, frozen=True, kw_only=True):
    """One line of /proc/net/tcp or udp; ports in host order, the state as the kernel's two hex digits."""

    local_port: int
    remote_port: int
    state: str


def parse(table: str) -> Iterator[Socket]:
    """The sockets in the text of a /proc/net table; lines of an unknown shape are left out."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or ":" not in fields[1] or ":" not in fields[2]:
            continue
        try:
            local, remote = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
        except ValueError:
            continue
        yield Socket(local_port=local, remote_port=remote, state=fields[3])


def _read(*protocols: str) -> list[Socket]:
    sockets: list[Socket] = []
    for protocol in protocols:
        # thread-self, since only this thread is in the namespace
        table = Path(f"/proc/thread-self/net/{protocol}")
        if table.exists():
            sockets.extend(parse(table.read_text()))
    return sockets


async def tcp_sockets(network_namespace: str) -> list[Socket]:
    """All TCP sockets of the namespace, in both families. OSError when it is gone."""
    return await in_namespace(network_namespace, lambda: _read("tcp", "tcp6"))


async def proxied_connections(network_namespace: str, ports: tuple[int, ...]) -> int:
    """How many connections the node proxy holds on these local ports of the namespace."""
    sockets = await tcp_sockets(network_namespace)
    return sum(
        1 for each in sockets if each.local_port in ports and each.state != LISTENING and each.state not in _ENDED
    )


async def wait_until_listening(network_namespace: str, tcp: set[int], udp: set[int], *, seconds: float) -> set[int]:
    """Returns the ports that still do not listen after `seconds`: none when all is well."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while True:
        listening = {each.local_port for each in await tcp_sockets(network_namespace) if each.state == LISTENING}
        bound = {each.local_port for each in await in_namespace(network_namespace, lambda: _read("udp", "udp6"))}
        missing = (tcp - listening) | (udp - bound)
        if not missing or time.monotonic() >= deadline:
            return missing
        await asyncio.sleep(pause)
        pause = min(0.5, pause * 1.3)
