"""Access-log lines become pairs."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from sidestep.demo.traffic import AccessLogs, Connection, Route, Workload, moment, pairs, parse
from sidestep.local.errors import BadDataError

FRONT = Workload(pod="front-1", label="front", application="front", node="node-1", address="10.244.1.2", enrolled=True)
REVIEWS = Workload(
    pod="reviews-2", label="reviews v2", application="reviews", node="node-2", address="10.244.2.2", enrolled=True
)
FRONT_ID = "spiffe://cluster.local/ns/shop/sa/front"
REVIEWS_ID = "spiffe://cluster.local/ns/shop/sa/reviews"


def outbound(*, path: Route = "hbone", trace: str = "t1", duration: float = 4, flags: str = "") -> Connection:
    return Connection(
        direction="outbound",
        path=path,
        source="front-1",
        source_namespace="shop",
        source_identity=FRONT_ID,
        destination="reviews-2",
        destination_namespace="shop",
        destination_identity=REVIEWS_ID,
        tls_version="TLSv1.3" if path == "hbone" else "",
        traceparent=trace,
        duration_ms=duration,
        response_flags=flags,
    )


def inbound(*, trace: str = "t1", identity: str = FRONT_ID) -> Connection:
    return Connection(direction="inbound", path="hbone", source_identity=identity, traceparent=trace)


def test_a_line_is_read_with_the_names_of_the_log() -> None:
    line = {
        "direction": "outbound",
        "path": "hbone",
        "src.workload": "front-1",
        "src.identity": FRONT_ID,
        "dst.workload": "reviews-2",
        "dst.addr": "10.244.2.2:8080",
        "duration_ms": 7,
        "tls_version": "TLSv1.3",
    }
    read = parse(json.dumps(line).encode())
    assert (read.source, read.source_identity, read.destination, read.duration_ms) == (
        "front-1",
        FRONT_ID,
        "reviews-2",
        7,
    )


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"direction":"sideways","path":"hbone"}', b'{"direction":"inbound"}'])
def test_a_line_that_is_not_understood_is_an_error_that_shows_it(line: bytes) -> None:
    with pytest.raises(BadDataError, match="not as expected"):
        parse(line)


def test_the_two_ends_of_a_connection_are_joined_by_its_trace() -> None:
    (pair,) = pairs([outbound(), inbound(), inbound(trace="t9", identity="spiffe://other")], [FRONT, REVIEWS], "shop")
    assert pair.verified_source == {FRONT_ID}
    assert pair.destination_identities == {REVIEWS_ID}
    assert (pair.source, pair.destination, pair.connections) == ("front", "reviews v2", 1)
    assert (pair.source_node, pair.destination_node) == ("node-1", "node-2")


def test_paths_are_kept_apart_and_medians_and_failures_counted() -> None:
    seen = [outbound(duration=d) for d in (1, 3, 90)] + [outbound(path="plain", flags="UF,URX"), outbound(flags="DC")]
    plain, tunnel = sorted(pairs(seen, [FRONT, REVIEWS], "shop"), key=lambda pair: pair.connections)
    assert (plain.path, plain.failed) == ("plain", 1)
    assert (tunnel.connections, tunnel.failed, tunnel.median_ms) == (4, 0, 3.5)


def test_other_namespaces_and_unknown_pods_are_left_out() -> None:
    assert pairs([outbound()], [FRONT], "shop") == ()
    assert pairs([outbound()], [FRONT, REVIEWS], "other") == ()


def test_moments_compare_as_the_log_writes_them() -> None:
    noon = dt.datetime(2026, 7, 1, 12, 0, 0, 5_999, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert moment(noon) == "2026-07-01T10:00:00.005Z"
    assert moment(noon + dt.timedelta(milliseconds=995)) > moment(noon)


def test_logs_are_read_on_and_half_a_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "node-1" / "access.log"
    log.parent.mkdir()
    line = b'{"direction":"inbound","path":"plain"}\n'
    log.write_bytes(line + line[:10])
    logs = AccessLogs(tmp_path)
    assert len(logs.new()) == 1
    assert logs.new() == []
    with log.open("ab") as file:
        file.write(line[10:] + line)
    assert len(logs.new()) == 2
