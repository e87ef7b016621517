"""Did the mesh do what it is for? Judges what the demo saw. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sidestep.demo import shop
from sidestep.demo.frames import Evidence
from sidestep.demo.traffic import Pair


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    good: bool
    text: str


def missing(pairs: Iterable[Pair]) -> list[str]:
    """Pairs that should talk, have not been seen yet, or lack the far end's word about an encrypted connection."""
    pairs = list(pairs)
    complete = {(p.source, p.destination) for p in pairs if p.path != "hbone" or p.verified_source}
    lacking = [
        f"{source} → {destination}" for source, destination in shop.PAIRS if (source, destination) not in complete
    ]
    if not any(pair.path == "hbone" for pair in pairs):
        lacking.append("any pair on two nodes")
    return lacking


def judge(
    pairs: Sequence[Pair], *, trust_domain: str, meshed: Sequence[Evidence], plain: Evidence, requests: int, failed: int
) -> tuple[Finding, ...]:
    """All findings. `meshed` are captures with the label on, `plain` is the one with it taken off."""
    return (
        _identities(pairs, trust_domain),
        _encrypted(pairs),
        _hidden(meshed),
        _shown(plain),
        Finding(
            good=requests > 0 and failed == 0,
            text=f"{failed} of {requests} requests failed, though the pods left the mesh and joined it again meanwhile",
        ),
    )


def _identities(pairs: Sequence[Pair], trust_domain: str) -> Finding:
    wrong = []
    for pair in pairs:
        source = frozenset({shop.identity(trust_domain, pair.source)})
        destination = frozenset({shop.identity(trust_domain, pair.destination)})
        # over HBONE each side was shown a certificate; on one node both ends are held by the same proxy
        verified = pair.verified_source if pair.path == "hbone" else pair.source_identities
        if (pair.source_identities, verified, pair.destination_identities) != (source, source, destination):
            wrong.append(f"{pair.source} → {pair.destination}")
    absent = missing(pairs)
    if wrong or absent:
        return Finding(good=False, text=f"without the right identities: {', '.join(wrong + absent)}")
    return Finding(good=True, text=f"all {len(pairs)} pairs know each other by their own identity")


def _encrypted(pairs: Sequence[Pair]) -> Finding:
    between = [pair for pair in pairs if pair.source_node != pair.destination_node]
    tls = frozenset({"TLSv1.3"})
    bare = [f"{p.source} → {p.destination}" for p in between if p.path != "hbone" or p.tls_versions != tls]
    bare += [f"{p.source} → {p.destination}" for p in pairs if p.path == "plain" and p not in between]
    if bare or not between:
        return Finding(good=False, text=f"not encrypted with TLS 1.3: {', '.join(bare) or 'no pair is on two nodes'}")
    return Finding(good=True, text=f"all {len(between)} pairs on two nodes talk mutual TLS 1.3, and no other way")


def _hidden(meshed: Sequence[Evidence]) -> Finding:
    """Silence proves nothing: there must have been traffic, and nothing may have been missed."""
    name = shop.REQUEST_TEXT.decode()
    if any(evidence.dropped for evidence in meshed):
        return Finding(good=False, text="the capture lost packets: start the demo again on a quieter machine")
    if not meshed or not all(evidence.tunnel_packets for evidence in meshed):
        return Finding(good=False, text="with the mesh on, no HBONE was seen between the nodes")
    packets, found = sum(e.packets for e in meshed), sum(e.found for e in meshed)
    return Finding(
        good=found == 0, text=f"mesh on: “{name}” occurs {found} times in {packets} packets between the nodes"
    )


def _shown(plain: Evidence) -> Finding:
    name = shop.REQUEST_TEXT.decode()
    return Finding(
        good=plain.found > 0,
        text=f"label taken off: “{name}” occurs {plain.found} times in {plain.packets} packets, for everyone to read",
    )
