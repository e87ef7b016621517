from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.mesh.model import NetworkAddress, Service, Workload
from sidestep.node.dns.captures import Capture, Captures
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.forward import Limits
from sidestep.node.dns.metrics import DnsMetrics
from sidestep.wire import agent

POD = agent.Pod(uid="u", name="a", namespace="shop", network_namespace="/run/netns/a")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_pod() -> None:
    wire = agent.PodCapture(pod=POD, resolvers=["10.96.0.2", "not an address", "fd00::1"], listen_address="10.0.0.1")
    assert Capture.from_wire("u", wire.SerializeToString()) == Capture(
        name="u", namespace="shop", network_namespace="/run/netns/a", resolvers=("10.96.0.2", "fd00::1")
    )


def test_the_cluster_dns() -> None:
    wire = agent.PodCapture(resolvers=["192.0.2.53"], listen_address="10.244.1.1")
    assert Capture.from_wire("node", wire.SerializeToString()) == Capture(
        name="node", listen_address="10.244.1.1", resolvers=("192.0.2.53",)
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "neither a pod with a network namespace nor a listen_address"),
        (agent.PodCapture(listen_address="dns.example.com").SerializeToString(), "is not an IP address"),
        (b"\xff\xff", "not a PodCapture"),
    ],
)
def test_what_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Capture.from_wire("u", body)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        capture = Capture.from_wire("u", body)
    except ValueError:
        return
    assert capture.network_namespace or capture.listen_address


@asynccontextmanager
async def capturing(port: int) -> AsyncIterator[Captures]:
    directory = Directory()
    secret = Service(
        name="secret",
        namespace="shop",
        hostname="secret.example.com",
        private=True,
        addresses=(NetworkAddress(address="240.240.0.1"),),
    )
    directory.put(secret)
    directory.put(Workload(uid="pod", name="pod", namespace="shop", addresses=("127.0.0.5",)))
    async with asyncio.TaskGroup() as group:
        made = Captures(
            directory,
            group,
            domain="cluster.local",
            metrics=DnsMetrics(),
            cluster_port=port,
            limits=Limits(total_seconds=0.2),
        )
        yield made
        await made.close()


async def until_listening(captures: Captures, name: str) -> None:
    async with asyncio.timeout(5):
        while not captures.is_listening(name):  # noqa: ASYNC110 - asked as the agent's tests do
            await asyncio.sleep(0.01)


async def ask(name: str, port: int, source: str, address: str = "127.0.0.1") -> dns.rcode.Rcode:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.bind((source, 0))
        await loop.sock_sendto(client, dns.message.make_query(name, "A").to_wire(), (address, port))
        async with asyncio.timeout(5):
            return dns.message.from_wire(await loop.sock_recv(client, 4096)).rcode()


async def test_the_cluster_dns_knows_its_clients_and_its_domain() -> None:
    port = free_port()
    async with capturing(port) as captures:
        await captures.put(Capture(name="node", listen_address="127.0.0.1", resolvers=("127.0.0.1",)))
        await until_listening(captures, "node")
        assert await ask("secret.example.com", port, "127.0.0.5") is dns.rcode.NOERROR
        assert await ask("secret.example.com", port, "127.0.0.6") is dns.rcode.SERVFAIL
        assert await ask("nothing.shop.svc.cluster.local", port, "127.0.0.5") is dns.rcode.NXDOMAIN


async def test_a_capture_may_change_and_go() -> None:
    port = free_port()
    async with capturing(port) as captures:
        await captures.put(Capture(name="node", listen_address="127.0.0.1"))
        await until_listening(captures, "node")
        await captures.put(Capture(name="node", listen_address="127.0.0.2"))
        await until_listening(captures, "node")
        assert await ask("secret.example.com", port, "127.0.0.5", "127.0.0.2") is dns.rcode.NOERROR
        await captures.remove("node")
        assert not captures.is_listening("node")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.2", port))


async def test_a_taken_port_is_tried_again() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as blocker:
        blocker.bind(("127.0.0.1", 0))
        port = blocker.getsockname()[1]
        async with capturing(port) as captures:
            await captures.put(Capture(name="node", listen_address="127.0.0.1"))
            await asyncio.sleep(0.05)
            assert not captures.is_listening("node")
            blocker.close()
            await until_listening(captures, "node")


async def test_a_namespace_that_is_not_there_hurts_nobody() -> None:
    port = free_port()
    async with capturing(port) as captures:
        await captures.put(Capture(name="pod", network_namespace="/nowhere/at/all"))
        await captures.put(Capture(name="node", listen_address="127.0.0.1"))
        await until_listening(captures, "node")
        assert not captures.is_listening("pod")
