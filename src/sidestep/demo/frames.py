"""Reads TCP segments out of Ethernet frames, and looks for a text in them. Pure."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import msgspec

HBONE_PORT = 15008
CONTROL_PORTS = frozenset({15012, 15013})
"""The controller's: configuration and certificates for the nodes, no traffic of pods."""
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One TCP segment. Addresses are textual."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes

    @property
    def ports(self) -> frozenset[int]:
        return frozenset({self.source_port, self.destination_port})


def tcp_segment(frame: bytes) -> Segment | None:
    """The TCP segment in an Ethernet frame; None for anything else, and for a frame that is cut short."""
    if len(frame) < 34:
        return None
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _IPV4:
        return _ipv4(frame[14:])
    if kind == _IPV6:
        return _ipv6(frame[14:])
    return None


def _ipv4(packet: bytes) -> Segment | None:
    header, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
    fragment = int.from_bytes(packet[6:8], "big") & 0x1FFF
    if packet[9] != _TCP or fragment:
        return None
    # A frame that the kernel has not cut into packets yet may be too long for the field, which is then 0.
    end = total if header <= total <= len(packet) else len(packet)
    return _tcp(packet[12:16], packet[16:20], packet[header:end])


def _ipv6(packet: bytes) -> Segment | None:
    if len(packet) < 40 or packet[6] != _TCP:
        return None
    length = int.from_bytes(packet[4:6], "big")
    end = 40 + length if 0 < length <= len(packet) - 40 else len(packet)
    return _tcp(packet[8:24], packet[24:40], packet[40:end])


def _tcp(source: bytes, destination: bytes, segment: bytes) -> Segment | None:
    if len(segment) < 20:
        return None
    source_port, destination_port = struct.unpack_from("!HH", segment)
    return Segment(
        source=str(ip_address(source)),
        source_port=source_port,
        destination=str(ip_address(destination)),
        destination_port=destination_port,
        payload=segment[(segment[12] >> 4) * 4 :],
    )


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody who listens between the nodes got to know."""

    packets: int = 0
    """TCP segments between pods that carry data."""
    tunnel_packets: int = 0
    """Of those, segments of HBONE."""
    bytes: int = 0
    """Of data in `packets`."""
    found: int = 0
    """How often the text that was looked for occurred."""
    dropped: int = 0
    """Frames that the kernel could not keep: what was in them is not known."""
    excerpt: Segment | None = None
    """The first segment with the text in it, or else the longest one of HBONE."""


class Search:
    """Counts a text in the TCP streams between pods, also where it is split between two segments."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._tails: dict[tuple[str, int, str, int], bytes] = {}
        self._packets = self._tunnel_packets = self._bytes = self._found = 0
        self._with_text: Segment | None = None
        self._longest: Segment | None = None

    def add(self, segment: Segment) -> None:
        """Look at one more segment."""
        if not segment.payload or segment.ports & CONTROL_PORTS:
            return
        self._packets += 1
        self._bytes += len(segment.payload)
        if HBONE_PORT in segment.ports:
            self._tunnel_packets += 1
            if self._longest is None or len(segment.payload) > len(self._longest.payload):
                self._longest = segment
        flow = (segment.source, segment.source_port, segment.destination, segment.destination_port)
        data = self._tails.get(flow, b"") + segment.payload
        occurrences = data.count(self._text)
        if occurrences and self._with_text is None:
            self._with_text = segment
        self._found += occurrences
        # shorter than the text, so that nothing is counted twice
        self._tails[flow] = data[-(len(self._text) - 1) :] if len(self._text) > 1 else b""

    def evidence(self, *, dropped: int = 0) -> Evidence:
        """What there was so far."""
        return Evidence(
            packets=self._packets,
            tunnel_packets=self._tunnel_packets,
            bytes=self._bytes,
            found=self._found,
            dropped=dropped,
            excerpt=self._with_text or self._longest,
        )
