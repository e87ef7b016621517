from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.node.dns.answerer import Transport
from sidestep.node.dns.forward import Forwarder, Limits, NoResolverError, Resolver, is_answer
from sidestep.node.dns.framing import receive_message, send_message
from sidestep.node.dns.sockets import Listeners, Location, listen

QUERY = dns.message.make_query("www.example.com", "A", use_edns=0, payload=1400).to_wire()
QUICK = Limits(attempt_seconds=0.2, total_seconds=1.0)
Respond = Callable[[bytes], list[bytes]]


def answer_with(address: str = "192.0.2.1", **flags: int) -> Respond:
    def respond(query: bytes) -> list[bytes]:
        response = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
        response.answer.append(dns.rrset.from_text("www.example.com.", 60, "IN", "A", address))
        response.flags |= flags.get("flags", 0)
        response.set_rcode(dns.rcode.Rcode(flags.get("rcode", 0)))
        return [response.to_wire()]

    return respond


def silence(_: bytes) -> list[bytes]:
    return []


class FakeResolver:
    """Answers over both transports, and counts what it was asked."""

    def __init__(self, listeners: Listeners, udp: Respond, tcp: Respond) -> None:
        self.resolver = Resolver("127.0.0.1", listeners.udp[0].getsockname()[1])
        self.seen: list[tuple[Transport, bytes]] = []
        self._listeners, self._udp, self._tcp = listeners, udp, tcp

    async def run_udp(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            query, peer = await loop.sock_recvfrom(self._listeners.udp[0], 65535)
            self.seen.append((Transport.UDP, query))
            for response in self._udp(query):
                await loop.sock_sendto(self._listeners.udp[0], response, peer)

    async def run_tcp(self) -> None:
        while True:
            stream, _ = await asyncio.get_running_loop().sock_accept(self._listeners.tcp[0])
            with stream:
                query = await receive_message(stream)
                assert query is not None
                self.seen.append((Transport.TCP, query))
                for response in self._tcp(query):
                    await send_message(stream, response)


@asynccontextmanager
async def resolving(udp: Respond, tcp: Respond = silence) -> AsyncIterator[FakeResolver]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listeners = await listen(Location(), ("127.0.0.1",), port)
    fake = FakeResolver(listeners, udp, tcp)
    tasks = [asyncio.ensure_future(fake.run_udp()), asyncio.ensure_future(fake.run_tcp())]
    try:
        yield fake
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listeners.close()


@asynccontextmanager
async def forwarding(*fakes: FakeResolver, limits: Limits = QUICK) -> AsyncIterator[Forwarder]:
    forwarder = Forwarder([fake.resolver for fake in fakes], Location(), limits)
    try:
        yield forwarder
    finally:
        forwarder.close()


def address_in(response: bytes) -> str:
    message = dns.message.from_wire(response)
    return str(message.answer[0][0])


async def test_the_answer_comes_back_under_the_clients_identifier() -> None:
    async with resolving(answer_with()) as fake, forwarding(fake) as forwarder:
        response = await forwarder.forward(QUERY, Transport.UDP)
    assert response[:2] == QUERY[:2]
    assert address_in(response) == "192.0.2.1"
    [(_, seen)] = fake.seen
    assert seen[2:] == QUERY[2:]


async def test_identifiers_are_not_the_clients() -> None:
    async with resolving(answer_with()) as fake, forwarding(fake) as forwarder:
        for _ in range(20):
            await forwarder.forward(QUERY, Transport.UDP)
    assert len({seen[:2] for _, seen in fake.seen}) > 15


async def test_a_silent_resolver_is_passed_over_and_then_comes_last() -> None:
    async with (
        resolving(silence) as dead,
        resolving(answer_with()) as alive,
        forwarding(dead, alive) as forwarder,
    ):
        for _ in range(3):
            assert address_in(await forwarder.forward(QUERY, Transport.UDP)) == "192.0.2.1"
    assert [len(dead.seen), len(alive.seen)] == [1, 3]


async def test_a_resolver_that_is_not_there_costs_no_wait() -> None:
    async with resolving(silence) as gone:
        pass
    async with resolving(answer_with()) as alive, forwarding(gone, alive, limits=Limits()) as forwarder:
        async with asyncio.timeout(1):
            assert address_in(await forwarder.forward(QUERY, Transport.UDP)) == "192.0.2.1"


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_an_unhelpful_answer_is_the_last_resort(rcode: dns.rcode.Rcode) -> None:
    async with resolving(answer_with(rcode=rcode)) as bad, resolving(answer_with("192.0.2.9")) as good:
        async with forwarding(bad, good) as forwarder:
            assert address_in(await forwarder.forward(QUERY, Transport.UDP)) == "192.0.2.9"
        async with forwarding(bad) as forwarder:
            assert dns.message.from_wire(await forwarder.forward(QUERY, Transport.UDP)).rcode() == rcode


async def test_that_a_name_does_not_exist_is_an_answer() -> None:
    async with (
        resolving(answer_with(rcode=dns.rcode.NXDOMAIN)) as first,
        resolving(answer_with()) as second,
        forwarding(first, second) as forwarder,
    ):
        message = dns.message.from_wire(await forwarder.forward(QUERY, Transport.UDP))
    assert message.rcode() == dns.rcode.NXDOMAIN
    assert second.seen == []


async def test_forged_answers_are_ignored() -> None:
    def forge(query: bytes) -> list[bytes]:
        [right] = answer_with("192.0.2.1")(query)
        other = dns.message.make_query("other.example.com", "A").to_wire()
        return [
            b"",
            b"\0" * 5,
            bytes([query[0] ^ 1]) + answer_with("192.0.2.66")(query)[0][1:],
            query,
            query[:2] + answer_with("192.0.2.66")(other)[0][2:],
            right,
        ]

    async with resolving(forge) as fake, forwarding(fake) as forwarder:
        assert address_in(await forwarder.forward(QUERY, Transport.UDP)) == "192.0.2.1"


async def test_a_truncated_answer_is_handed_on_and_tcp_is_asked_over_tcp() -> None:
    async with (
        resolving(answer_with(flags=dns.flags.TC), answer_with("192.0.2.7")) as fake,
        forwarding(fake) as forwarder,
    ):
        first = await forwarder.forward(QUERY, Transport.UDP)
        assert dns.message.from_wire(first).flags & dns.flags.TC
        assert address_in(await forwarder.forward(QUERY, Transport.TCP)) == "192.0.2.7"
    assert [transport for transport, _ in fake.seen] == [Transport.UDP, Transport.TCP]


async def test_a_resolver_without_tcp_is_asked_over_udp() -> None:
    async with resolving(answer_with(), silence) as fake, forwarding(fake) as forwarder:
        assert address_in(await forwarder.forward(QUERY, Transport.TCP)) == "192.0.2.1"


async def test_nobody_answers() -> None:
    async with resolving(silence) as fake, forwarding(fake) as forwarder:
        with pytest.raises(NoResolverError, match=f"127.0.0.1:{fake.resolver.port}: no answer"):
            await forwarder.forward(QUERY, Transport.UDP)
    async with forwarding() as forwarder:
        with pytest.raises(NoResolverError, match="no resolver is known"):
            await forwarder.forward(QUERY, Transport.UDP)


async def test_a_namespace_that_is_gone_is_a_failure_like_others() -> None:
    forwarder = Forwarder([Resolver("127.0.0.1")], Location(network_namespace="/nowhere/at/all"), QUICK)
    with pytest.raises(NoResolverError, match="nowhere"):
        await forwarder.forward(QUERY, Transport.UDP)


async def test_many_at_once() -> None:
    async with resolving(answer_with()) as fake, forwarding(fake, limits=Limits()) as forwarder:
        responses = await asyncio.gather(*(forwarder.forward(QUERY, Transport.UDP) for _ in range(200)))
    assert {address_in(response) for response in responses} == {"192.0.2.1"}


def test_a_failure_may_leave_the_question_out() -> None:
    assert is_answer(QUERY[:2] + b"\x81\x81" + bytes(8), QUERY)
    assert not is_answer(QUERY[:2] + b"\x81\x80" + bytes(8), QUERY)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes_may_come_as_an_answer(answer: bytes, query: bytes) -> None:
    assert is_answer(answer, query) in {True, False}
