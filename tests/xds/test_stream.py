import pytest
from tests.xds.support import OTHER, STRUCT, Line, big_number, number

from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache
from sidestep.xds.peer import Ack, Nack
from sidestep.xds.resource import Resource
from sidestep.xds.stream import CHUNK_BYTES


@pytest.fixture
def cache() -> Cache:
    cache = Cache()
    cache.mark_complete(STRUCT)
    cache.mark_complete(OTHER)
    return cache


def test_acknowledged(cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1)])
    line = Line(cache)
    line.says()
    received = line.send(nonce=line.last[0].nonce)
    assert received.outcome == Ack(peer=line.stream.peer, type_url=STRUCT, versions={"a": number("a", 1).version})
    assert line.hears() == ""
    assert line.send(nonce=line.last[0].nonce if line.last else "1").outcome is None


def test_refused_is_not_sent_again_until_it_changes(cache: Cache) -> None:
    cache.update(STRUCT, [number("good", 1), number("bad", 1), number("in", 1), number("ba", 1)])
    line = Line(cache)
    line.says()
    outcome = line.send(nonce=line.last[0].nonce, error="Error adding/updating: bad: no such filter").outcome
    assert isinstance(outcome, Nack)
    assert outcome.versions == {"bad": number("bad", 1).version}
    assert outcome.message.endswith("no such filter")
    assert line.hears() == ""
    cache.update(STRUCT, [number("bad", 2)])
    assert line.hears() == "+bad=2"


def test_refusal_that_names_nothing_is_about_all(cache: Cache) -> None:
    cache.update(STRUCT, [number("x1", 1), number("x2", 1)])
    line = Line(cache)
    line.says()
    outcome = line.send(nonce=line.last[0].nonce, error="broken").outcome
    assert isinstance(outcome, Nack)
    assert outcome.versions.keys() == {"x1", "x2"}


def test_one_request_may_acknowledge_and_subscribe(cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1), number("b", 2)])
    line = Line(cache)
    line.says("a")
    received = line.send("b", nonce=line.last[0].nonce)
    assert isinstance(received.outcome, Ack)
    assert received.subscribed == {"b"}
    assert line.hears() == "+b=2"


def test_names_are_counted(cache: Cache) -> None:
    line = Line(cache)
    assert line.send("*", "a", "b").subscribed == {"a", "b"}
    assert line.send("a", drop=["b", "c"]).released == {"b"}
    assert line.stream.names == {(STRUCT, "a")}
    assert line.stream.wants(STRUCT, "a")
    assert not line.stream.wants(OTHER, "a")


def test_types_come_in_order(cache: Cache) -> None:
    line = Line(cache, order=(OTHER, STRUCT))
    line.send()
    line.send(type_url=OTHER)
    cache.update(STRUCT, [number("a", 1)])
    cache.update(OTHER, [big_number("b", 2)])
    line.hears()
    assert [each.type_url for each in line.last] == [OTHER, STRUCT]


def test_nonces_differ(cache: Cache) -> None:
    line = Line(cache)
    line.send()
    line.send(type_url=OTHER)
    line.hears()
    assert len({each.nonce for each in line.last}) == 2


@pytest.mark.parametrize("order", [(STRUCT, OTHER), (OTHER, STRUCT)])
def test_companion_is_sent_again_with_what_changed(cache: Cache, order: tuple[str, ...]) -> None:
    cache.update(STRUCT, [number("a", 1), number("b", 1)])
    cache.update(OTHER, [big_number("a", 5), big_number("b", 6)])
    line = Line(cache, order=order, companions={STRUCT: OTHER})
    line.send()
    line.send("a", "b", type_url=OTHER)
    line.hears()
    cache.update(STRUCT, [number("a", 2), number("c", 2)])
    assert line.hears() == "+a=2 +c=2; +a=5"


def test_large_answers_are_cut(cache: Cache) -> None:
    body = "x" * 300_000
    cache.update(STRUCT, [])
    resources = [Resource.of(f"r{index}", pb.StringMatcher(exact=body)) for index in range(20)]
    type_url = resources[0].type_url
    cache.update(type_url, [*resources, Resource.of("gone", pb.StringMatcher())])
    cache.mark_complete(type_url)
    line = Line(cache)
    request = pb.DeltaDiscoveryRequest(type_url=type_url)
    request.initial_resource_versions["lost"] = "1"
    line.stream.receive(request)
    responses = line.stream.take().responses
    assert len(responses) == 4
    assert all(len(each) < CHUNK_BYTES + 1024 for each in responses)
    decoded = [pb.DeltaDiscoveryResponse.FromString(each) for each in responses]
    assert {each.name for response in decoded for each in response.resources} == {
        "gone",
        *(each.name for each in resources),
    }
    assert [list(each.removed_resources) for each in decoded] == [[], [], [], ["lost"]]


def test_one_huge_resource_goes_alone(cache: Cache) -> None:
    huge = Resource.of("huge", pb.StringMatcher(exact="x" * (CHUNK_BYTES + 1)))
    cache.update(huge.type_url, [huge, Resource.of("small", pb.StringMatcher())])
    cache.mark_complete(huge.type_url)
    line = Line(cache)
    line.stream.receive(pb.DeltaDiscoveryRequest(type_url=huge.type_url))
    assert len(line.stream.take().responses) == 2
