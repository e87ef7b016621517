"""What is printed, without a terminal."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sidestep.demo import display
from sidestep.demo.findings import Finding
from sidestep.demo.frames import Evidence, Segment
from sidestep.demo.traffic import Pair


def shown(part: object, *, width: int = 80) -> str:
    output = io.StringIO()
    Console(file=output, width=width, highlight=False).print(part)
    return output.getvalue()


PAIR = Pair(
    source="reviews v2",
    destination="ratings",
    path="hbone",
    source_node="node-1",
    destination_node="node-2",
    source_identities=frozenset({"spiffe://cluster.local/ns/shop/sa/reviews"}),
    verified_source=frozenset({"spiffe://cluster.local/ns/shop/sa/reviews"}),
    destination_identities=frozenset({"spiffe://cluster.local/ns/shop/sa/ratings"}),
    tls_versions=frozenset({"TLSv1.3"}),
    connections=12,
    failed=0,
    median_ms=0.2,
)


def test_a_pair_fits_into_80_columns_with_all_that_matters() -> None:
    text = shown(display.pairs([PAIR], "cluster.local", width=80))
    for part in ("→ ratings", "ns/shop/sa/reviews", "ns/shop/sa/ratings", "mutual TLS 1.3", "node-1 → node-2", "< 1"):
        assert part in text
    assert "…" not in text.replace("spiffe://cluster.local/…", "")


def test_identities_are_whole_where_there_is_room() -> None:
    text = shown(display.pairs([PAIR], "cluster.local", width=120), width=120)
    assert "spiffe://cluster.local/ns/shop/sa/reviews" in text
    assert "…" not in text


def test_an_excerpt_shows_text_and_hides_what_is_none() -> None:
    segment = Segment(
        source="10.244.1.2",
        source_port=1,
        destination="10.244.2.2",
        destination_port=8080,
        payload=b"GET /books/the-quiet-harbour HTTP/1.1\r\nhost: \x00\x17\r\n\r\n",
    )
    text = shown(
        display.evidence(Evidence(packets=3, bytes=1000, found=2, excerpt=segment), interface="ss123456"), width=120
    )
    assert "GET /books/the-quiet-harbour HTTP/1.1" in text
    assert "host: ··" in text
    assert "2 times" in text


@given(st.binary(max_size=2000))
def test_no_payload_can_play_with_the_terminal(payload: bytes) -> None:
    lines = display.printable(payload)
    assert len(lines) <= 4
    assert all(line.replace("·", "").isascii() and line.replace("·", " ").isprintable() for line in lines)
    assert all(len(line) <= 60 for line in lines)


def test_the_verdict_marks_good_and_bad() -> None:
    text = shown(display.verdict([Finding(good=True, text="fine"), Finding(good=False, text="broken")]))
    assert "✓ fine" in text
    assert "✗ broken" in text
