from __future__ import annotations

import errno
import socket
import threading
from unittest.mock import patch

import pytest

from sidestep.node.dns import sockets
from sidestep.node.dns.sockets import Location, family_of, is_address, listen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_addresses() -> None:
    assert family_of("10.0.0.1") is socket.AF_INET
    assert family_of("fd00::1") is socket.AF_INET6
    assert is_address("fe80::1%eth0")
    assert not is_address("dns.example.com")


async def test_listen_on_both_transports() -> None:
    port = free_port()
    listeners = await listen(Location(), ("127.0.0.1", "127.0.0.2"), port)
    assert [one.getsockname() for one in listeners.udp] == [("127.0.0.1", port), ("127.0.0.2", port)]
    assert [one.getsockname() for one in listeners.tcp] == [("127.0.0.1", port), ("127.0.0.2", port)]
    listeners.close()
    assert all(one.fileno() == -1 for one in listeners.sockets)


async def test_an_address_that_is_missing_is_left_out_unless_it_is_the_only_one() -> None:
    port = free_port()
    listeners = await listen(Location(), ("127.0.0.1", "192.0.2.1"), port)
    assert len(listeners.sockets) == 2
    listeners.close()
    with pytest.raises(OSError, match="assign") as caught:
        await listen(Location(), ("192.0.2.1",), port)
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as blocker:
        blocker.bind(("127.0.0.2", 0))
        port = blocker.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await listen(Location(), ("127.0.0.1", "127.0.0.2"), port)
        again = await listen(Location(), ("127.0.0.1",), port)
        again.close()


async def test_a_namespace_that_is_not_there() -> None:
    location = Location(network_namespace="/nowhere/at/all")
    assert location.exists() is None
    with pytest.raises(FileNotFoundError):
        await listen(location, ("127.0.0.1",), free_port())


async def test_what_is_opened_for_nobody_is_closed() -> None:
    import asyncio

    release, opened = threading.Event(), socket.socket()

    async def slow(_: str, function: object) -> list[socket.socket]:
        del function
        await asyncio.to_thread(release.wait, 5)
        return [opened]

    with patch.object(sockets, "in_namespace", slow):
        task = asyncio.ensure_future(Location(network_namespace="/some").run(list))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        release.set()
        async with asyncio.timeout(2):
            while opened.fileno() != -1:  # noqa: ASYNC110 - a socket tells nobody that it was closed
                await asyncio.sleep(0.01)
    assert task.cancelled()
