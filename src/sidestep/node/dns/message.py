"""DNS messages: questions read, answers written (RFC 1035, EDNS of RFC 6891). Bytes in, bytes out."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rrset
import msgspec

from sidestep.node.dns.resolve import Answer, Family

TTL_SECONDS = 30
NEGATIVE_TTL_SECONDS = 5
LARGEST_UDP = 4096
"""Longest answer over UDP, whatever the client allows; more is truncated and asked again over TCP."""
LARGEST_TCP = 65535
SMALLEST_UDP = 512
_HEADER = struct.Struct("!HHHHHH")
_RESPONSE_BIT, _OPCODE_MASK, _RECURSION_DESIRED = 0x8000, 0x7800, 0x0100


class UnreadableQueryError(Exception):
    """Not a query that can be answered. `response` says so to the client; None: the packet deserves no answer."""

    def __init__(self, reason: str, response: bytes | None) -> None:
        super().__init__(reason)
        self.response = response


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query with exactly one question."""

    message: dns.message.Message
    name: str
    """Without the final dot."""
    kind: dns.rdatatype.RdataType
    is_internet: bool
    """Its class is IN."""

    @property
    def families(self) -> frozenset[Family]:
        """The address families that it asks for; none for a question about something else."""
        return _FAMILIES.get(self.kind, frozenset())

    @property
    def largest_udp(self) -> int:
        """How long an answer over UDP may be."""
        return max(SMALLEST_UDP, min(self.message.payload, LARGEST_UDP))


_FAMILIES = {
    dns.rdatatype.A: frozenset({Family.IPV4}),
    dns.rdatatype.AAAA: frozenset({Family.IPV6}),
    dns.rdatatype.ANY: frozenset(Family),
}


def read_query(wire: bytes) -> Query:
    """UnreadableQueryError for what is malformed, is no query, or has no question or several."""
    if len(wire) < _HEADER.size:
        raise UnreadableQueryError("shorter than a header", None)
    _, flags, questions, *_ = _HEADER.unpack_from(wire)
    if flags & _RESPONSE_BIT:
        raise UnreadableQueryError("a response", None)
    if flags & _OPCODE_MASK:
        raise UnreadableQueryError("not a query", bare_response(wire, dns.rcode.NOTIMP))
    if questions != 1:
        raise UnreadableQueryError(f"{questions} questions", bare_response(wire, dns.rcode.FORMERR))
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
        [question] = message.question
        name = question.name.to_text(omit_final_dot=True)
    except (dns.exception.DNSException, ValueError) as error:
        raise UnreadableQueryError(str(error), bare_response(wire, dns.rcode.FORMERR)) from error
    is_internet = question.rdclass in {dns.rdataclass.IN, dns.rdataclass.ANY}
    return Query(message=message, name=name, kind=question.rdtype, is_internet=is_internet)


def bare_response(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A response that is a header alone, for a query whose rest cannot be read; at least a header is given."""
    identifier, flags, *_ = _HEADER.unpack_from(wire)
    return _HEADER.pack(
        identifier, _RESPONSE_BIT | flags & (_OPCODE_MASK | _RECURSION_DESIRED) | rcode & 0xF, 0, 0, 0, 0
    )


def failure(query: Query, rcode: dns.rcode.Rcode) -> bytes:
    """A response without data, e.g. SERVFAIL."""
    response = dns.message.make_response(query.message, recursion_available=True, our_payload=LARGEST_UDP)
    response.set_rcode(rcode)
    return response.to_wire()


def respond(query: Query, answer: Answer, zone: str, limit: int) -> bytes:
    """The authoritative response, addresses in random order, at most `limit` bytes long (else truncated).

    When there is nothing to tell about a name inside `zone`, an SOA record says for how long that may be remembered.
    """
    response = dns.message.make_response(query.message, recursion_available=True, our_payload=LARGEST_UDP)
    response.flags |= dns.flags.AA
    asked, owner = query.message.question[0].name, dns.name.from_text(answer.owner)
    if asked != owner:
        target = dns.rdtypes.ANY.CNAME.CNAME(dns.rdataclass.IN, dns.rdatatype.CNAME, owner)  # type: ignore[no-untyped-call]
        response.answer.append(dns.rrset.from_rdata(asked, TTL_SECONDS, target))
    else:
        owner = asked
    for family in (Family.IPV4, Family.IPV6):
        records = [_address(address) for address in answer.addresses if (":" in address) is (family is Family.IPV6)]
        if records:
            response.answer.append(_records(owner, records))
    if not answer.exists:
        response.set_rcode(dns.rcode.NXDOMAIN)
    if not answer.addresses and owner.is_subdomain(dns.name.from_text(zone)):
        response.authority.append(_start_of_authority(zone))
    # Writing a set of records shuffles it.
    return response.to_wire(max_size=limit, prefer_truncation=True)


def _address(address: str) -> dns.rdata.Rdata:
    if ":" in address:
        return dns.rdtypes.IN.AAAA.AAAA(dns.rdataclass.IN, dns.rdatatype.AAAA, address)  # type: ignore[no-untyped-call]
    return dns.rdtypes.IN.A.A(dns.rdataclass.IN, dns.rdatatype.A, address)  # type: ignore[no-untyped-call]


def _records(owner: dns.name.Name, records: Sequence[dns.rdata.Rdata]) -> dns.rrset.RRset:
    records_of_owner = dns.rrset.RRset(owner, dns.rdataclass.IN, records[0].rdtype)
    records_of_owner.update_ttl(TTL_SECONDS)
    for record in records:
        records_of_owner.add(record)
    return records_of_owner


def _start_of_authority(zone: str) -> dns.rrset.RRset:
    origin = dns.name.from_text(zone)
    record = dns.rdtypes.ANY.SOA.SOA(  # type: ignore[no-untyped-call]
        dns.rdataclass.IN,
        dns.rdatatype.SOA,
        dns.name.from_text("ns.dns", origin),
        dns.name.from_text("hostmaster", origin),
        1,  # serial: there are no secondary servers
        7200,
        1800,
        86400,
        NEGATIVE_TTL_SECONDS,
    )
    return dns.rrset.from_rdata(origin, NEGATIVE_TTL_SECONDS, record)
