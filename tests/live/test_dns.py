"""DNS capture with real network namespaces and nftables: pod `p`, and the outside `u` where its resolver lives."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import grpc.aio
import pytest

from sidestep.mesh.model import NetworkAddress, Service, Workload
from sidestep.mesh.wds import encode_service
from sidestep.node.capture import Mode, apply_capture
from sidestep.node.dns.captures import Capture, Captures
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.forward import Limits
from sidestep.node.dns.framing import receive_message, send_message
from sidestep.node.dns.metrics import DnsMetrics
from sidestep.node.dns.sockets import Location, listen
from sidestep.node.namespaces import run_in_namespace
from sidestep.wire import agent, istio
from sidestep.xds.cache import Cache
from sidestep.xds.resource import Resource
from sidestep.xds.server import DeltaServer

pytestmark = pytest.mark.live

PREFIX = f"sdns{os.getpid() % 10000}"
POD, OUTSIDE = f"{PREFIX}p", f"{PREFIX}u"
POD_PATH, OUTSIDE_PATH = f"/run/netns/{POD}", f"/run/netns/{OUTSIDE}"
POD_ADDRESSES = ("10.213.77.2", "fd13:77::2")
RESOLVERS = ("10.213.77.1", "fd13:77::1")
CLUSTER_DNS = "127.53.77.1"
HOST = "server.shop.svc.cluster.local"


def service(address: str) -> Service:
    return Service(name="server", namespace="shop", hostname=HOST, addresses=(NetworkAddress(address=address),))


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def namespaces() -> Iterator[None]:
    try:
        for name in (POD, OUTSIDE):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", OUTSIDE, "link", "add", "to-pod", "type", "veth", "peer", "name", "eth0", "netns", POD)
        for name, link, addresses in ((OUTSIDE, "to-pod", RESOLVERS), (POD, "eth0", POD_ADDRESSES)):
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "address", "add", f"{addresses[0]}/24", "dev", link)
            ip("-n", name, "address", "add", f"{addresses[1]}/64", "dev", link, "nodad")
        for family, resolver in zip(("-4", "-6"), RESOLVERS, strict=True):
            ip(family, "-n", POD, "route", "add", "default", "via", resolver)
        yield
    finally:
        for name in (POD, OUTSIDE):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Outside:
    """The pod's resolver: it knows one host, and remembers who asked what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def respond(self, query: bytes, peer: str) -> bytes:
        message = dns.message.from_wire(query)
        self.asked.append((peer, message.question[0].name.to_text()))
        response = dns.message.make_response(message)
        if message.question[0].rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(message.question[0].name, 60, "IN", "A", "192.0.2.1"))
        return response.to_wire()

    async def serve_udp(self, datagrams: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            query, peer = await loop.sock_recvfrom(datagrams, 4096)
            await loop.sock_sendto(datagrams, self.respond(query, peer[0]), peer)

    async def serve_tcp(self, streams: socket.socket) -> None:
        while True:
            stream, peer = await asyncio.get_running_loop().sock_accept(streams)
            with stream:
                query = await receive_message(stream)
                assert query is not None
                await send_message(stream, self.respond(query, peer[0]))


@asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    made = Outside()
    listeners = await listen(Location(network_namespace=OUTSIDE_PATH), RESOLVERS, 53)
    tasks = [asyncio.ensure_future(made.serve_udp(one)) for one in listeners.udp]
    tasks += [asyncio.ensure_future(made.serve_tcp(one)) for one in listeners.tcp]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listeners.close()


@asynccontextmanager
async def capturing(*captures: Capture) -> AsyncIterator[Captures]:
    directory = Directory()
    directory.put(service("10.96.0.10"))
    directory.put(Workload(uid="local", name="local", namespace="shop", addresses=("127.0.0.1",)))
    async with asyncio.TaskGroup() as group:
        made = Captures(directory, group, domain="cluster.local", metrics=DnsMetrics(), limits=Limits(total_seconds=2))
        try:
            for capture in captures:
                await made.put(capture)
                await until(partial(made.is_listening, capture.name))
            yield made
        finally:
            await made.close()


CAPTURE = Capture(name="pod", namespace="shop", network_namespace=POD_PATH, resolvers=RESOLVERS)


def from_pod(kind: socket.SocketKind, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = run_in_namespace(POD_PATH, lambda: socket.socket(family, kind))
    made.setblocking(False)
    return made


async def ask_udp(name: str, resolver: str, kind: str = "A") -> dns.message.Message:
    """Asks like a client that checks where the answer comes from."""
    loop = asyncio.get_running_loop()
    with from_pod(socket.SOCK_DGRAM, resolver) as client:
        for _ in range(2):
            await loop.sock_sendto(client, dns.message.make_query(name, kind).to_wire(), (resolver, 53))
            async with asyncio.timeout(5):
                answer, peer = await loop.sock_recvfrom(client, 4096)
            assert peer[:2] == (resolver, 53)
    return dns.message.from_wire(answer)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110 - the kernel gives no event
            await asyncio.sleep(0.1)


async def ask_tcp(name: str, resolver: str) -> dns.message.Message:
    answer: bytes | None = None
    with from_pod(socket.SOCK_STREAM, resolver) as client:
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().sock_connect(client, (resolver, 53))
            assert client.getpeername()[:2] == (resolver, 53)
            for _ in range(2):
                await send_message(client, dns.message.make_query(name, "A").to_wire())
                answer = await receive_message(client)
    assert answer is not None
    return dns.message.from_wire(answer)


def address_in(message: dns.message.Message) -> str:
    return str(message.answer[-1][0])


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("resolver", RESOLVERS)
async def test_a_pod_gets_answers_from_the_resolver_it_asked(resolver: str) -> None:
    async with outside() as upstream, capturing(CAPTURE):
        apply_capture(POD_PATH, Mode.CAPTURE)
        assert address_in(await ask_udp(HOST, resolver)) == "10.96.0.10"
        assert address_in(await ask_tcp(HOST, resolver)) == "10.96.0.10"
        assert address_in(await ask_udp("server", resolver)) == "10.96.0.10"
        empty = await ask_udp(HOST, resolver, "AAAA")
        assert (empty.rcode(), empty.answer) == (dns.rcode.NOERROR, [])
        assert upstream.asked == []


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("resolver", RESOLVERS)
async def test_the_rest_is_asked_outside_from_the_pods_own_address(resolver: str) -> None:
    async with outside() as upstream, capturing(CAPTURE):
        apply_capture(POD_PATH, Mode.CAPTURE)
        assert address_in(await ask_udp("www.example.com", resolver)) == "192.0.2.1"
        assert address_in(await ask_tcp("www.example.com", resolver)) == "192.0.2.1"
    assert len(upstream.asked) == 4
    assert set(upstream.asked) == {(POD_ADDRESSES[0], "www.example.com.")}


@pytest.mark.usefixtures("namespaces")
async def test_the_c_library_resolves_as_in_any_cluster(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(
        "search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
        + "".join(f"nameserver {resolver}\n" for resolver in RESOLVERS)
    )
    script = f"mount --bind {resolv_conf} /etc/resolv.conf && exec getent ahosts $0"

    async def getent(name: str) -> set[str]:
        command = ["ip", "netns", "exec", POD, "sh", "-c", script, name]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(10):
            output, _ = await process.communicate()
        return {line.split()[0] for line in output.decode().splitlines()}

    async with outside() as upstream, capturing(CAPTURE):
        apply_capture(POD_PATH, Mode.CAPTURE)
        for name in ("server", "server.shop", "server.shop.svc", HOST, f"{HOST}."):
            assert await getent(name) == {"10.96.0.10"}
        assert upstream.asked == []
        assert await getent("www.example.com.") == {"192.0.2.1"}


@pytest.mark.usefixtures("namespaces")
async def test_nobody_answers_outside() -> None:
    async with capturing(CAPTURE):
        apply_capture(POD_PATH, Mode.CAPTURE)
        assert (await ask_udp("www.example.com", RESOLVERS[0])).rcode() == dns.rcode.SERVFAIL
        assert address_in(await ask_udp(HOST, RESOLVERS[0])) == "10.96.0.10"


@pytest.mark.usefixtures("namespaces")
async def test_a_namespace_that_vanishes_is_let_go() -> None:
    async with capturing(CAPTURE) as captures:
        ip("netns", "del", POD)
        await until(lambda: "to-pod" not in ip("-n", OUTSIDE, "link"))
        ip("netns", "add", POD)
        ip("-n", POD, "link", "set", "lo", "up")
        await until(lambda: captures.is_listening(CAPTURE.name))
        listening = ip("netns", "exec", POD, "ss", "-Hlntu")
        assert "127.0.0.1:15053" in listening


@pytest.mark.usefixtures("namespaces")
async def test_the_loopback_link_may_come_up_later() -> None:
    ip("-n", POD, "link", "set", "lo", "down")
    async with capturing(CAPTURE):
        apply_capture(POD_PATH, Mode.CAPTURE)
        for resolver in RESOLVERS:
            assert address_in(await ask_udp(HOST, resolver)) == "10.96.0.10"
            assert address_in(await ask_tcp(HOST, resolver)) == "10.96.0.10"


@pytest.mark.usefixtures("namespaces")
async def test_a_port_that_is_taken_is_waited_for() -> None:
    blocker = run_in_namespace(POD_PATH, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    blocker.bind(("127.0.0.1", 15053))
    async with asyncio.TaskGroup() as group:
        captures = Captures(Directory(), group, domain="cluster.local", metrics=DnsMetrics())
        await captures.put(CAPTURE)
        await asyncio.sleep(0.5)
        assert not captures.is_listening(CAPTURE.name)
        blocker.close()
        await until(lambda: captures.is_listening(CAPTURE.name))
        await captures.close()


async def test_the_nodes_cluster_dns_knows_who_asks_and_what_does_not_exist() -> None:
    capture = Capture(name="cluster", listen_address=CLUSTER_DNS, resolvers=(CLUSTER_DNS,))
    loop = asyncio.get_running_loop()
    async with capturing(capture):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.bind(("127.0.0.1", 0))
            for name, rcode in (
                ("server.shop.svc.cluster.local", dns.rcode.NOERROR),
                ("server", dns.rcode.NOERROR),
                ("nothing.shop.svc.cluster.local", dns.rcode.NXDOMAIN),
                ("www.example.com", dns.rcode.SERVFAIL),
            ):
                await loop.sock_sendto(client, dns.message.make_query(name, "A").to_wire(), (CLUSTER_DNS, 53))
                async with asyncio.timeout(5):
                    answer, peer = await loop.sock_recvfrom(client, 4096)
                assert peer == (CLUSTER_DNS, 53)
                assert dns.message.from_wire(answer).rcode() == rcode


def encoded(address: str) -> Resource:
    made = service(address)
    return Resource.of(made.key, encode_service(made))


@asynccontextmanager
async def agent_at(path: Path, cache: Cache) -> AsyncIterator[None]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(DeltaServer(cache).handlers())
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


@asynccontextmanager
async def dns_process(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidestep", "dns", "--node", "node-1", "--xds-socket", str(path)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ask_cluster(name: str) -> str:
    """The address, or the code of an answer without one; "" when nobody answers."""
    query = dns.message.make_query(name, "A").to_wire()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect((CLUSTER_DNS, 53))
        try:
            async with asyncio.timeout(0.5):
                await loop.sock_sendall(client, query)
                message = dns.message.from_wire(await loop.sock_recv(client, 4096))
        except (ConnectionRefusedError, TimeoutError):
            return ""
    return address_in(message) if message.answer else dns.rcode.to_text(message.rcode())


async def until_answer(name: str, answer: str) -> None:
    async with asyncio.timeout(15):
        while await ask_cluster(name) != answer:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def test_the_process_follows_its_agent_and_goes_on_without_it(tmp_path: Path) -> None:
    path, cache = tmp_path / "xds.sock", Cache()
    capture = agent.PodCapture(listen_address=CLUSTER_DNS, resolvers=[CLUSTER_DNS])
    async with dns_process(path) as process:
        cache.update(istio.ADDRESS, [encoded("10.96.0.1")])
        cache.update(agent.POD_CAPTURE, [Resource.of("node", capture)])
        cache.mark_complete(istio.ADDRESS)
        cache.mark_complete(agent.POD_CAPTURE)
        async with agent_at(path, cache):
            await until_answer(HOST, "10.96.0.1")
            cache.update(istio.ADDRESS, [encoded("10.96.0.2")])
            await until_answer(HOST, "10.96.0.2")
        for _ in range(5):
            assert await ask_cluster(HOST) == "10.96.0.2"
            await asyncio.sleep(0.1)
        cache.update(istio.ADDRESS, [], [f"shop/{HOST}"])
        async with agent_at(path, cache):
            await until_answer(HOST, "NXDOMAIN")
        process.terminate()
        async with asyncio.timeout(3):
            assert await process.wait() == 0
