from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.node.dns.message import UnreadableQueryError, bare_response, failure, read_query, respond
from sidestep.node.dns.resolve import Answer, Family

ZONE = "cluster.local"
HOST = "server.shop.svc.cluster.local"


def ask(name: str = HOST, kind: str = "A", **options: int | bool) -> bytes:
    return dns.message.make_query(name, kind, **options).to_wire()  # type: ignore[arg-type]


def reply(wire: bytes, answer: Answer, limit: int = 512) -> dns.message.Message:
    return dns.message.from_wire(respond(read_query(wire), answer, ZONE, limit))


def test_read_query() -> None:
    query = read_query(ask("Server.Shop.svc.cluster.local.", "AAAA", use_edns=0, payload=1400))
    assert query.name == "Server.Shop.svc.cluster.local"
    assert query.families == {Family.IPV6}
    assert query.is_internet
    assert query.largest_udp == 1400


@pytest.mark.parametrize(("payload", "largest"), [(0, 512), (100, 512), (1232, 1232), (65535, 4096)])
def test_how_long_an_answer_may_be(payload: int, largest: int) -> None:
    assert read_query(ask(use_edns=0, payload=payload)).largest_udp == largest


def test_an_answer_is_authoritative() -> None:
    addresses = ("10.0.0.9", "10.0.0.1", "10.0.0.5")
    message = reply(ask(), Answer(owner=HOST, addresses=addresses))
    assert message.flags & dns.flags.AA
    assert message.flags & dns.flags.QR
    assert message.flags & dns.flags.RA
    [records] = message.answer
    assert sorted(record.address for record in records) == sorted(addresses)
    assert records.ttl == 30


def test_the_question_is_repeated_as_it_was_written() -> None:
    wire = ask("SerVer.SHOP.svc.cluster.local")
    response = respond(read_query(wire), Answer(owner=HOST, addresses=("10.0.0.1",)), ZONE, 512)
    assert response[12 : len(wire)] == wire[12:]
    assert len(dns.message.from_wire(response).answer) == 1


def test_an_alias_comes_with_its_target() -> None:
    message = reply(ask("server"), Answer(owner=HOST, addresses=("10.0.0.1",)))
    assert [records.to_text() for records in message.answer] == [
        f"server. 30 IN CNAME {HOST}.",
        f"{HOST}. 30 IN A 10.0.0.1",
    ]


def test_both_families() -> None:
    message = reply(ask(kind="ANY"), Answer(owner=HOST, addresses=("10.0.0.1", "fd00::1")))
    assert [records.rdtype for records in message.answer] == [dns.rdatatype.A, dns.rdatatype.AAAA]


def test_nothing_of_that_kind() -> None:
    message = reply(ask(kind="AAAA"), Answer(owner=HOST))
    assert message.rcode() == dns.rcode.NOERROR
    assert message.answer == []
    assert [records.rdtype for records in message.authority] == [dns.rdatatype.SOA]
    outside = reply(ask("api.example.com", "AAAA"), Answer(owner="api.example.com"))
    assert outside.authority == []


def test_no_such_name() -> None:
    message = reply(ask(), Answer(owner=HOST, exists=False))
    assert message.rcode() == dns.rcode.NXDOMAIN
    assert [records.ttl for records in message.authority] == [5]


def test_too_long_for_the_client() -> None:
    addresses = tuple(f"10.0.1.{number}" for number in range(100))
    wire = ask()
    response = respond(read_query(wire), Answer(owner=HOST, addresses=addresses), ZONE, 512)
    assert len(response) <= 512
    assert dns.message.from_wire(response).flags & dns.flags.TC
    whole = respond(read_query(wire), Answer(owner=HOST, addresses=addresses), ZONE, 65535)
    assert [len(records) for records in dns.message.from_wire(whole).answer] == [100]


def test_edns_is_answered_with_edns() -> None:
    assert reply(ask(use_edns=0), Answer(owner=HOST)).edns == 0
    assert reply(ask(), Answer(owner=HOST)).edns == -1


def test_failure() -> None:
    message = dns.message.from_wire(failure(read_query(ask()), dns.rcode.SERVFAIL))
    assert message.rcode() == dns.rcode.SERVFAIL
    assert message.question[0].name.to_text() == f"{HOST}."


def test_what_is_no_query() -> None:
    def response_to(wire: bytes) -> bytes | None:
        with pytest.raises(UnreadableQueryError) as caught:
            read_query(wire)
        return caught.value.response

    wire = ask()
    assert response_to(b"") is None
    assert response_to(wire[:11]) is None
    assert response_to(dns.message.make_response(dns.message.from_wire(wire)).to_wire()) is None
    for broken, rcode in (
        (wire[:20], dns.rcode.FORMERR),
        (wire[:4] + b"\0\0" + wire[6:], dns.rcode.FORMERR),
        (wire[:4] + b"\0\2" + wire[6:], dns.rcode.FORMERR),
        (wire[:2] + b"\x28\0" + wire[4:], dns.rcode.NOTIMP),
    ):
        response = response_to(broken)
        assert response is not None
        assert response[:2] == wire[:2]
        assert dns.message.from_wire(response).rcode() == rcode


def test_bare_response_keeps_identifier_and_opcode() -> None:
    assert bare_response(b"\xab\xcd\x29\x20" + bytes(8), dns.rcode.NOTIMP) == b"\xab\xcd\xa9\x04" + bytes(8)


@given(st.binary(max_size=120) | st.binary(max_size=100).map(lambda tail: b"\1\2\1\0\0\1\0\0\0\0\0\0" + tail))
def test_any_bytes_are_read_or_refused(wire: bytes) -> None:
    try:
        query = read_query(wire)
    except UnreadableQueryError as error:
        response = error.response
        assert response is None or len(response) == 12
    else:
        response = respond(query, Answer(owner=query.name, addresses=("10.0.0.1",)), ZONE, 512)
        assert response[:2] == wire[:2]
        assert len(response) <= 512
