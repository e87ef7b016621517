from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.message
import dns.rcode
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestep.mesh.model import NetworkAddress, Service
from sidestep.node.dns.answerer import Answerer
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.forward import Forwarder, Limits
from sidestep.node.dns.framing import receive_message, send_message
from sidestep.node.dns.metrics import DnsMetrics
from sidestep.node.dns.resolve import Client
from sidestep.node.dns.server import Server
from sidestep.node.dns.sockets import Location, listen

HOST = "server.shop.svc.cluster.local"
QUERY = dns.message.make_query(HOST, "A").to_wire()
MANY = dns.message.make_query("many.shop.svc.cluster.local", "A").to_wire()
UNKNOWN = dns.message.make_query("www.example.com", "A").to_wire()


def directory() -> Directory:
    made = Directory()
    for name, count in (("server", 1), ("many", 100)):
        made.put(
            Service(
                name=name,
                namespace="shop",
                hostname=f"{name}.shop.svc.cluster.local",
                addresses=tuple(NetworkAddress(address=f"10.96.0.{number + 1}") for number in range(count)),
            )
        )
    return made


@asynccontextmanager
async def serving(metrics: DnsMetrics | None = None) -> AsyncIterator[tuple[str, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listeners = await listen(Location(), ("127.0.0.1",), port)
    forwarder = Forwarder((), Location(), Limits(total_seconds=0.2))
    server = Server(Answerer(directory()), forwarder, lambda _: Client(namespace="shop"), metrics or DnsMetrics())
    task = asyncio.ensure_future(server.serve(listeners))
    try:
        yield ("127.0.0.1", port)
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert all(one.fileno() == -1 for one in listeners.sockets)


def connected(address: tuple[str, int], kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    if kind is socket.SOCK_DGRAM:
        made.connect(address)
    return made


async def ask(client: socket.socket, query: bytes) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, query)
    async with asyncio.timeout(2):
        return dns.message.from_wire(await loop.sock_recv(client, 65535))


async def test_udp() -> None:
    metrics = DnsMetrics()
    async with serving(metrics) as address:
        with connected(address, socket.SOCK_DGRAM) as client:
            for _ in range(3):
                assert len((await ask(client, QUERY)).answer[0]) == 1
            assert (await ask(client, UNKNOWN)).rcode() == dns.rcode.SERVFAIL
    assert metrics.registry.get_sample_value("istio_dns_requests_total") == 4
    assert metrics.registry.get_sample_value("istio_dns_upstream_failures_total") == 1


async def test_tcp_takes_several_queries_on_one_connection() -> None:
    async with serving() as address:
        with connected(address, socket.SOCK_STREAM) as client:
            await asyncio.get_running_loop().sock_connect(client, address)
            for query, count in ((QUERY, 1), (MANY, 100), (QUERY, 1)):
                await send_message(client, query)
                response = await receive_message(client)
                assert response is not None
                assert len(dns.message.from_wire(response).answer[0]) == count
            await send_message(client, UNKNOWN)
            response = await receive_message(client)
            assert response is not None
            assert dns.message.from_wire(response).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize(
    "sent", [b"", b"\0", b"\0\0", b"\0\5abc", b"\xff\xffabc", b"\0\x0c" + bytes([0, 0, 0x80]) + bytes(9)]
)
async def test_a_broken_tcp_client_hurts_nobody(sent: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with serving() as address:
        with connected(address, socket.SOCK_STREAM) as client:
            await loop.sock_connect(client, address)
            await loop.sock_sendall(client, sent)
            client.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(2):
                assert await loop.sock_recv(client, 100) == b""
        with connected(address, socket.SOCK_DGRAM) as client:
            assert (await ask(client, QUERY)).rcode() == dns.rcode.NOERROR


async def test_connections_are_limited() -> None:
    loop = asyncio.get_running_loop()
    async with serving() as address:
        clients = [connected(address, socket.SOCK_STREAM) for _ in range(130)]
        try:
            for client in clients:
                await loop.sock_connect(client, address)
            async with asyncio.timeout(2):
                assert await loop.sock_recv(clients[-1], 100) == b""
        finally:
            for client in clients:
                client.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(min_size=1, max_size=100), max_size=20))
def test_noise_over_udp_hurts_nobody(packets: list[bytes]) -> None:
    async def run() -> None:
        async with serving() as address:
            with connected(address, socket.SOCK_DGRAM) as noisy, connected(address, socket.SOCK_DGRAM) as client:
                for packet in packets:
                    await asyncio.get_running_loop().sock_sendall(noisy, packet)
                assert (await ask(client, QUERY)).rcode() == dns.rcode.NOERROR

    asyncio.run(run())
