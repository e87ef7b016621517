"""The verdict: what it takes to pass, and that each lack is found."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sidestep.demo import shop
from sidestep.demo.findings import judge, missing
from sidestep.demo.frames import Evidence
from sidestep.demo.traffic import Pair, Route

DOMAIN = "cluster.local"
MESHED = Evidence(packets=100, tunnel_packets=100, bytes=9000)
PLAIN = Evidence(packets=80, bytes=7000, found=30)


def pair(source: str, destination: str, *, path: Route) -> Pair:
    client = frozenset({shop.identity(DOMAIN, source)})
    return Pair(
        source=source,
        destination=destination,
        path=path,
        source_node="node-1",
        destination_node="node-2" if path == "hbone" else "node-1",
        source_identities=client,
        verified_source=client if path == "hbone" else frozenset(),
        destination_identities=frozenset({shop.identity(DOMAIN, destination)}),
        tls_versions=frozenset({"TLSv1.3"}) if path == "hbone" else frozenset(),
        connections=10,
        failed=0,
        median_ms=3,
    )


PAIRS = [pair(*ends, path="same-node" if "v1" in ends[1] else "hbone") for ends in shop.PAIRS]


def verdict(**changed: Any) -> list[bool]:
    arguments: dict[str, Any] = {
        "pairs": PAIRS,
        "meshed": [MESHED, MESHED],
        "plain": PLAIN,
        "requests": 100,
        "failed": 0,
        **changed,
    }
    found = judge(arguments.pop("pairs"), trust_domain=DOMAIN, **arguments)
    return [finding.good for finding in found]


def changed(**fields: Any) -> list[Pair]:
    return [msgspec.structs.replace(PAIRS[0], **fields), *PAIRS[1:]]


def test_a_mesh_that_does_its_work_passes() -> None:
    assert verdict() == [True] * 5


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        (0, {"pairs": changed(destination_identities=frozenset({"spiffe://cluster.local/ns/shop/sa/load"}))}),
        (0, {"pairs": changed(verified_source=frozenset())}),
        (0, {"pairs": changed(source_identities=frozenset())}),
        (0, {"pairs": PAIRS[1:]}),
        (1, {"pairs": changed(path="plain")}),
        (1, {"pairs": changed(tls_versions=frozenset({"TLSv1.2", "TLSv1.3"}))}),
        (1, {"pairs": [pair(*ends, path="same-node") for ends in shop.PAIRS]}),
        (2, {"meshed": [MESHED, Evidence(packets=5, tunnel_packets=4, found=1)]}),
        (2, {"meshed": [Evidence()]}),
        (2, {"meshed": []}),
        (2, {"meshed": [msgspec.structs.replace(MESHED, dropped=1)]}),
        (3, {"plain": Evidence(packets=5)}),
        (4, {"failed": 1}),
        (4, {"requests": 0}),
    ],
)
def test_each_lack_is_found(place: int, arguments: dict[str, Any]) -> None:
    assert verdict(**arguments)[place] is False


def test_an_encrypted_pair_counts_as_seen_when_both_ends_have_spoken() -> None:
    assert missing(PAIRS) == []
    assert missing(changed(verified_source=frozenset())) == ["load → front"]
    assert missing(PAIRS[:-1]) == ["reviews v3 → ratings"]
