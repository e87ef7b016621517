import pytest
from tests.xds.support import OTHER, STRUCT, big_number, number

from sidestep.xds.cache import Cache, Change


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def changes(cache: Cache) -> list[Change]:
    heard: list[Change] = []
    cache.watch(heard.append)
    return heard


def test_storing_an_equal_value_wakes_nobody(cache: Cache, changes: list[Change]) -> None:
    assert cache.update(STRUCT, [number("a", 1, ["x"])])
    assert not cache.update(STRUCT, [number("a", 1, ["x"])])
    assert not cache.replace(STRUCT, [number("a", 1, ["x"])])
    assert [change.touched for change in changes] == [{"a", "x"}]


def test_replace_removes_the_rest(cache: Cache, changes: list[Change]) -> None:
    cache.update(STRUCT, [number("a", 1), number("b", 2)])
    cache.replace(STRUCT, [number("b", 3), number("c", 4)])
    assert {each.name for each in cache.snapshot(STRUCT)} == {"b", "c"}
    assert changes[-1].removed == {"a"}
    assert changes[-1].touched == {"a", "b", "c"}


def test_removing_what_is_not_there_denies_it(cache: Cache, changes: list[Change]) -> None:
    assert not cache.update(STRUCT, [], ["a"])
    assert changes == [Change(type_url=STRUCT, denied=frozenset({"a"}))]


def test_types_are_apart(cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1)])
    assert cache.get(OTHER, "a") is None
    assert cache.snapshot(OTHER) == ()
    with pytest.raises(ValueError, match="not of type"):
        cache.update(STRUCT, [big_number("a", 1)])


def test_complete_is_told_once(cache: Cache, changes: list[Change]) -> None:
    assert not cache.complete(STRUCT)
    cache.mark_complete(STRUCT)
    cache.mark_complete(STRUCT)
    assert cache.complete(STRUCT)
    assert changes == [Change(type_url=STRUCT, completed=True)]


def test_alias_finds_and_moves(cache: Cache, changes: list[Change]) -> None:
    cache.update(STRUCT, [number("a", 1, ["ip"])])
    assert cache.get(STRUCT, "ip") == number("a", 1, ["ip"])
    cache.update(STRUCT, [number("a", 1, ["other"])])
    assert changes[-1].touched == {"a", "ip", "other"}
    assert cache.get(STRUCT, "ip") is None
    cache.update(STRUCT, [], ["a"])
    assert cache.get(STRUCT, "other") is None


def test_shared_alias_finds_all_and_outlives_one(cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1, ["ip"]), number("b", 2, ["ip"])])
    assert [each.name for each in cache.find(STRUCT, "ip")] == ["a", "b"]
    cache.update(STRUCT, [], ["a"])
    assert [each.name for each in cache.find(STRUCT, "ip")] == ["b"]


def test_name_goes_before_alias(cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1, ["b"]), number("b", 2)])
    assert cache.get(STRUCT, "b") == number("b", 2)


def test_watching_ends(cache: Cache) -> None:
    heard: list[Change] = []
    end = cache.watch(heard.append)
    end()
    end()
    cache.update(STRUCT, [number("a", 1)])
    assert heard == []
