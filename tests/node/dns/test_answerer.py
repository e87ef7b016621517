from __future__ import annotations

import dns.message
import dns.rcode
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidestep.mesh.model import NetworkAddress, Service
from sidestep.node.dns.answerer import Answerer, Transport, Verdict
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.resolve import Client

SHOP = Client(namespace="shop")


def service(host: str, *addresses: str, private: bool = False) -> Service:
    return Service(
        name="s",
        namespace="shop",
        hostname=host,
        addresses=tuple(NetworkAddress(address=address) for address in addresses),
        private=private,
    )


def query(name: str, kind: str = "A", identifier: int | None = None, **options: int) -> bytes:
    return dns.message.make_query(name, kind, id=identifier, **options).to_wire()  # type: ignore[arg-type]


def addresses(response: bytes | Verdict) -> list[str]:
    assert isinstance(response, bytes)
    return [record.address for records in dns.message.from_wire(response).answer for record in records]


@pytest.fixture
def directory() -> Directory:
    made = Directory()
    made.put(service("server.shop.svc.cluster.local", "10.96.0.1"))
    return made


def test_the_same_question_twice_has_each_its_identifier(directory: Directory) -> None:
    answerer = Answerer(directory)
    for identifier in (1, 2, 3):
        response = answerer.answer(query("server.shop.svc.cluster.local", identifier=identifier), SHOP, Transport.UDP)
        assert isinstance(response, bytes)
        assert dns.message.from_wire(response).id == identifier
        assert addresses(response) == ["10.96.0.1"]


def test_a_change_of_the_mesh_is_seen_at_once(directory: Directory) -> None:
    answerer = Answerer(directory)
    wire = query("server.shop.svc.cluster.local")
    assert addresses(answerer.answer(wire, SHOP, Transport.UDP)) == ["10.96.0.1"]
    directory.put(service("server.shop.svc.cluster.local", "10.96.0.2"))
    assert addresses(answerer.answer(wire, SHOP, Transport.UDP)) == ["10.96.0.2"]
    directory.remove("shop/server.shop.svc.cluster.local")
    assert answerer.answer(wire, SHOP, Transport.UDP) is Verdict.FORWARD
    directory.put(service("server.shop.svc.cluster.local", "10.96.0.3"))
    assert addresses(answerer.answer(wire, SHOP, Transport.UDP)) == ["10.96.0.3"]


def test_what_one_namespace_may_know_is_not_remembered_for_another(directory: Directory) -> None:
    directory.put(service("secret.example.com", "240.240.0.1", private=True))
    answerer = Answerer(directory)
    wire = query("secret.example.com")
    for _ in range(2):
        assert addresses(answerer.answer(wire, SHOP, Transport.UDP)) == ["240.240.0.1"]
        assert answerer.answer(wire, Client(namespace="other"), Transport.UDP) is Verdict.FORWARD


def test_addresses_come_in_different_orders(directory: Directory) -> None:
    every = [f"10.96.1.{number}" for number in range(6)]
    directory.put(service("many.shop.svc.cluster.local", *every))
    answerer = Answerer(directory)
    wire = query("many.shop.svc.cluster.local")
    seen = [tuple(addresses(answerer.answer(wire, SHOP, Transport.UDP))) for _ in range(40)]
    assert all(sorted(order) == every for order in seen)
    assert len(set(seen)) > 2


def test_tcp_is_not_truncated(directory: Directory) -> None:
    every = [f"10.96.1.{number}" for number in range(100)]
    directory.put(service("many.shop.svc.cluster.local", *every))
    answerer = Answerer(directory)
    wire = query("many.shop.svc.cluster.local")
    assert len(addresses(answerer.answer(wire, SHOP, Transport.UDP))) < 100
    assert len(addresses(answerer.answer(wire, SHOP, Transport.TCP))) == 100


@pytest.mark.parametrize("kind", ["PTR", "SRV", "TXT", "A"])
def test_unknown_names_are_forwarded_whatever_they_ask(directory: Directory, kind: str) -> None:
    assert Answerer(directory).answer(query("1.0.96.10.in-addr.arpa", kind), SHOP, Transport.UDP) is Verdict.FORWARD


@pytest.mark.parametrize("kind", ["AAAA", "TXT", "HTTPS", "SRV"])
def test_known_names_are_answered_whatever_they_ask(directory: Directory, kind: str) -> None:
    response = Answerer(directory).answer(query("server.shop.svc.cluster.local", kind), SHOP, Transport.UDP)
    assert isinstance(response, bytes)
    message = dns.message.from_wire(response)
    assert (message.rcode(), message.answer) == (dns.rcode.NOERROR, [])


def test_a_later_edns_is_refused(directory: Directory) -> None:
    response = Answerer(directory).answer(query("server", use_edns=1), SHOP, Transport.UDP)
    assert isinstance(response, bytes)
    assert dns.message.from_wire(response).rcode() == dns.rcode.BADVERS


def test_servfail(directory: Directory) -> None:
    response = Answerer(directory).failure(query("www.example.com"))
    assert isinstance(response, bytes)
    assert dns.message.from_wire(response).rcode() == dns.rcode.SERVFAIL


@given(
    tail=st.binary(max_size=100),
    transport=st.sampled_from(Transport),
    is_final=st.booleans(),
)
@example(tail=b"\x00\x00\x01\x00\x01", transport=Transport.UDP, is_final=True)
@example(tail=b"\x02\xff.\x07cluster\x05local\x00\x00\x01\x00\x01", transport=Transport.UDP, is_final=True)
def test_no_question_is_too_odd(tail: bytes, transport: Transport, is_final: bool) -> None:
    directory = Directory()
    directory.put(service("*.example.com", "10.0.0.1"))
    wire = b"\1\2\1\0\0\1\0\0\0\0\0\0" + tail
    answerer = Answerer(directory)
    for _ in range(2):
        response = answerer.answer(wire, Client(namespace="shop", is_final=is_final), transport)
        assert isinstance(response, Verdict) or response[:2] == wire[:2]
