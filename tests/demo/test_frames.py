"""Segments out of frames, and a text in streams that are cut anywhere."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from sidestep.demo.frames import HBONE_PORT, Search, Segment, tcp_segment

TEXT = b"needle"


def frame(segment: Segment, *, padding: bytes = b"", options: bytes = b"") -> bytes:
    source, destination = ip_address(segment.source), ip_address(segment.destination)
    tcp = struct.pack("!HHIIBBHHH", segment.source_port, segment.destination_port, 1, 1, 0, 0x18, 1, 0, 0)
    tcp = tcp[:12] + bytes([(5 + len(options) // 4) << 4]) + tcp[13:] + options + segment.payload
    if isinstance(source, IPv4Address):
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0)
        kind = 0x0800
    else:
        header = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64)
        kind = 0x86DD
    return bytes(12) + struct.pack("!H", kind) + header + source.packed + destination.packed + tcp + padding


def segment(payload: bytes = b"", *, port: int = 8080, source: str = "10.244.1.5") -> Segment:
    return Segment(source=source, source_port=40000, destination="10.244.2.6", destination_port=port, payload=payload)


addresses = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**32 - 1).map(IPv4Address)),
    st.tuples(st.integers(0, 2**128 - 1).map(IPv6Address), st.integers(0, 2**128 - 1).map(IPv6Address)),
)


@given(addresses, st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=200), st.booleans())
def test_a_segment_is_read_as_it_was_sent(
    pair: tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address], from_: int, to: int, payload: bytes, timed: bool
) -> None:
    sent = Segment(
        source=str(pair[0]), source_port=from_, destination=str(pair[1]), destination_port=to, payload=payload
    )
    # Ethernet pads short frames; the padding is not data
    assert tcp_segment(frame(sent, padding=bytes(6), options=bytes(12) if timed else b"")) == sent


@given(st.binary(max_size=200))
def test_rubbish_is_no_segment_and_no_error(data: bytes) -> None:
    found = tcp_segment(data)
    assert found is None or isinstance(found, Segment)


@given(st.binary(max_size=80))
def test_rubbish_behind_a_proper_start_is_no_error(data: bytes) -> None:
    for kind in (0x0800, 0x86DD):
        tcp_segment(bytes(12) + struct.pack("!H", kind) + data)


def test_a_frame_that_is_longer_than_its_length_field_can_say_is_read_to_its_end() -> None:
    sent = segment(b"x" * 1000)
    data = bytearray(frame(sent))
    data[16:18] = b"\0\0"
    assert tcp_segment(bytes(data)) == sent


@given(st.lists(st.sampled_from([TEXT, b"ne", b"edle", b"nee", b"xyz", b""]), max_size=8), st.data())
def test_the_text_is_counted_wherever_a_stream_is_cut(words: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    search = Search(TEXT)
    for piece in pieces:
        search.add(segment(piece))
    assert search.evidence().found == stream.count(TEXT)


def test_halves_in_two_streams_are_no_occurrence() -> None:
    search = Search(TEXT)
    search.add(segment(b"nee"))
    search.add(segment(b"dle", source="10.244.1.9"))
    assert search.evidence().found == 0


def test_evidence_counts_data_between_pods_and_tells_the_tunnel_apart() -> None:
    search = Search(TEXT)
    for one in (segment(b""), segment(b"secret", port=15012), segment(b"abc"), segment(b"longer", port=HBONE_PORT)):
        search.add(one)
    evidence = search.evidence(dropped=3)
    assert (evidence.packets, evidence.tunnel_packets, evidence.bytes, evidence.dropped) == (2, 1, 9, 3)
    assert evidence.excerpt == segment(b"longer", port=HBONE_PORT)


def test_the_excerpt_is_the_first_segment_with_the_text() -> None:
    search = Search(TEXT)
    for one in (segment(b"x" * 99, port=HBONE_PORT), segment(b"a needle"), segment(b"needle again")):
        search.add(one)
    assert search.evidence().excerpt == segment(b"a needle")
