"""The protocol as transcripts: what the client says, what it hears."""

import pytest
from tests.xds.support import STRUCT, Line, number

from sidestep.xds.cache import Cache
from sidestep.xds.peer import Absent, Pending


@pytest.fixture
def cache() -> Cache:
    return Cache()


def v(name: str, value: int) -> str:
    return number(name, value).version


class TestWildcard:
    @pytest.mark.parametrize("spelled", [(), ("*",)])
    def test_all_then_changes(self, cache: Cache, spelled: tuple[str, ...]) -> None:
        cache.update(STRUCT, [number("a", 1), number("b", 2)])
        cache.mark_complete(STRUCT)
        line = Line(cache)
        assert line.says(*spelled) == "+a=1 +b=2"
        cache.update(STRUCT, [number("b", 3), number("c", 4)], ["a"])
        assert line.hears() == "+b=3 +c=4 -a"
        cache.update(STRUCT, [number("b", 3)])
        assert line.hears() == ""

    def test_changes_coalesce(self, cache: Cache) -> None:
        cache.mark_complete(STRUCT)
        line = Line(cache)
        line.says()
        cache.update(STRUCT, [number("a", 1)])
        cache.update(STRUCT, [number("a", 2), number("b", 1)])
        cache.update(STRUCT, [], ["b"])
        assert line.hears() == "+a=2"

    def test_nothing_there_is_an_empty_answer(self, cache: Cache) -> None:
        cache.mark_complete(STRUCT)
        assert Line(cache).says() == "()"

    def test_silent_until_complete(self, cache: Cache) -> None:
        line = Line(cache)
        assert line.says() == ""
        cache.update(STRUCT, [number("a", 1)])
        assert line.hears() == ""
        cache.mark_complete(STRUCT)
        assert line.hears() == "+a=1"

    def test_only_the_first_request_without_names_is_the_wildcard(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1), number("b", 2)])
        cache.mark_complete(STRUCT)
        line = Line(cache)
        assert line.says("a") == "+a=1"
        assert line.says() == ""

    def test_names_beside_the_wildcard(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1), number("hidden", 2, named_only=True)])
        cache.mark_complete(STRUCT)
        line = Line(cache)
        assert line.says() == "+a=1"
        assert line.says("hidden") == "+hidden=2"
        cache.update(STRUCT, [number("hidden", 3, named_only=True)])
        assert line.hears() == "+hidden=3"

    def test_end_of_a_name_beside_the_wildcard_is_answered(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1), number("hidden", 2, named_only=True)])
        cache.mark_complete(STRUCT)
        line = Line(cache)
        line.says("*", "a", "hidden")
        assert line.says(drop=["a", "hidden", "never"]) == "+a=1 -hidden -never"

    def test_end_of_the_wildcard_leaves_names(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1), number("b", 2)])
        cache.mark_complete(STRUCT)
        line = Line(cache)
        line.says("*", "a")
        assert line.says(drop=["*"]) == ""
        cache.update(STRUCT, [number("a", 3), number("b", 4)])
        assert line.hears() == "+a=3"
        assert line.says("*") == "+b=4"


class TestNames:
    def test_only_these(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1), number("b", 2)])
        line = Line(cache)
        assert line.says("a") == "+a=1"
        cache.update(STRUCT, [number("b", 3)])
        assert line.hears() == ""
        assert line.says("b") == "+b=3"
        cache.update(STRUCT, [], ["a"])
        assert line.hears() == "-a"

    def test_asking_again_is_answered_again(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1)])
        line = Line(cache)
        assert line.says("a") == "+a=1"
        assert line.says("a") == "+a=1"
        assert line.hears() == ""

    def test_end_and_anew(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1)])
        line = Line(cache)
        line.says("a")
        assert line.says(drop=["a"]) == ""
        cache.update(STRUCT, [number("a", 2)])
        assert line.hears() == ""
        assert line.says("a") == "+a=2"

    def test_what_is_not_there(self, cache: Cache) -> None:
        line = Line(cache)
        assert line.says("a", "b") == ""
        cache.update(STRUCT, [number("a", 1)])
        assert line.hears() == "+a=1"
        cache.mark_complete(STRUCT)
        assert line.hears() == "-b"
        cache.update(STRUCT, [number("b", 1)])
        assert line.hears() == "+b=1"
        assert line.says("c") == "-c"
        assert line.says("c") == "-c"

    def test_aliases(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1, ["ip"]), number("b", 2)])
        line = Line(cache)
        assert line.says("ip") == "+a=1"
        assert list(line.last[0].resources[0].aliases) == ["ip"]
        cache.update(STRUCT, [number("a", 3, ["ip"])])
        assert line.hears() == "+a=3"
        cache.update(STRUCT, [number("b", 2, ["ip"]), number("a", 3)])
        assert line.hears() == "+b=2 -a"
        cache.update(STRUCT, [], ["b"])
        assert line.hears() == "-b"


class TestResume:
    def test_only_differences(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1), number("b", 2), number("c", 3)])
        cache.mark_complete(STRUCT)
        line = Line(cache)
        assert line.says(has={"a": v("a", 1), "b": v("b", 0), "d": v("d", 4)}) == "+b=2 +c=3 -d"

    def test_equal_is_an_empty_answer_to_the_wildcard(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1)])
        cache.mark_complete(STRUCT)
        assert Line(cache).says("*", has={"a": v("a", 1)}) == "()"

    def test_equal_is_no_answer_to_names(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1)])
        assert Line(cache).says("a", has={"a": v("a", 1)}) == ""

    def test_nothing_is_taken_away_until_complete(self, cache: Cache) -> None:
        line = Line(cache)
        assert line.says("*", "b", has={"a": v("a", 1), "b": v("b", 1), "c": v("c", 1)}) == ""
        cache.update(STRUCT, [number("a", 1), number("b", 2)])
        assert line.hears() == "+b=2"
        cache.mark_complete(STRUCT)
        assert line.hears() == "-c"

    def test_denial_takes_nothing_away_until_complete(self, cache: Cache) -> None:
        line = Line(cache)
        line.says("a", has={"a": v("a", 1)})
        cache.update(STRUCT, [], ["a"])
        assert line.hears() == ""

    def test_loss_takes_away_at_once(self, cache: Cache) -> None:
        line = Line(cache)
        line.says("a", has={"a": v("a", 1)})
        cache.update(STRUCT, [number("a", 1)])
        assert line.hears() == ""
        cache.update(STRUCT, [], ["a"])
        assert line.hears() == "-a"

    def test_versions_in_later_requests_mean_nothing(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1)])
        line = Line(cache)
        line.says("b")
        assert line.says("a", has={"a": v("a", 1)}) == "+a=1"


class TestOnDemand:
    def test_pending_then_there(self, cache: Cache) -> None:
        line = Line(cache, asks=True)
        assert line.says("a") == ""
        assert line.asked == ["a"]
        line.stream.answered(STRUCT, "a", Pending)
        assert line.hears() == ""
        cache.update(STRUCT, [number("a", 1)])
        assert line.hears() == "+a=1"
        assert line.asked == ["a"]

    def test_answered_with_a_resource(self, cache: Cache) -> None:
        line = Line(cache, asks=True)
        line.says("a")
        cache.update(STRUCT, [number("a", 1)])
        line.stream.answered(STRUCT, "a", number("a", 1))
        assert line.hears() == "+a=1"

    def test_absent_is_told_before_the_type_is_complete(self, cache: Cache) -> None:
        line = Line(cache, asks=True)
        line.says("a")
        line.stream.answered(STRUCT, "a", Absent)
        assert line.hears() == "-a"
        assert line.says("a") == ""
        assert line.asked == ["a", "a"]

    def test_absent_takes_nothing_away_before_the_type_is_complete(self, cache: Cache) -> None:
        line = Line(cache, asks=True)
        assert line.says("a", has={"a": v("a", 1)}) == ""
        line.stream.answered(STRUCT, "a", Absent)
        assert line.hears() == ""
        cache.mark_complete(STRUCT)
        assert line.hears() == "-a"

    def test_complete_does_not_answer_what_is_being_asked(self, cache: Cache) -> None:
        cache.mark_complete(STRUCT)
        line = Line(cache, asks=True)
        assert line.says("*", "a", has={"a": v("a", 1), "b": v("b", 1)}) == "-b"
        line.stream.answered(STRUCT, "a", Pending)
        assert line.hears() == ""
        cache.update(STRUCT, [number("a", 1)])
        assert line.hears() == ""
        cache.update(STRUCT, [number("a", 2)])
        assert line.hears() == "+a=2"

    def test_denial_ends_the_waiting(self, cache: Cache) -> None:
        line = Line(cache, asks=True)
        line.says("a")
        cache.update(STRUCT, [], ["a"])
        line.stream.answered(STRUCT, "a", Pending)
        assert line.hears() == ""
        cache.update(STRUCT, [], ["a"])
        assert line.hears() == "-a"
        cache.update(STRUCT, [], ["a"])
        assert line.hears() == ""

    def test_asked_once_while_the_question_is_open(self, cache: Cache) -> None:
        line = Line(cache, asks=True)
        line.says("a")
        line.says("a")
        assert line.asked == ["a"]

    def test_answer_to_what_is_no_longer_wanted(self, cache: Cache) -> None:
        line = Line(cache, asks=True)
        line.says("a")
        line.says(drop=["a"])
        line.stream.answered(STRUCT, "a", Absent)
        assert line.hears() == ""

    def test_held_for_an_alias_that_is_gone(self, cache: Cache) -> None:
        cache.mark_complete(STRUCT)
        line = Line(cache, asks=True)
        assert line.says("ip0", "ip1", has={"a": v("a", 1)}) == ""
        line.stream.answered(STRUCT, "ip0", Absent)
        assert line.hears() == "-ip0"
        line.stream.answered(STRUCT, "ip1", Pending)
        assert line.hears() == ""
        cache.update(STRUCT, [number("b", 1, ["ip1"])])
        assert line.hears() == "+b=1 -a"


class TestVisibility:
    def test_hidden_does_not_exist(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1), number("b", 2)])
        cache.mark_complete(STRUCT)
        line = Line(cache, visible=lambda _peer, resource: resource.name != "b")
        assert line.says("*", "b") == "+a=1 -b"
        cache.update(STRUCT, [number("b", 3)])
        assert line.hears() == ""

    def test_becomes_hidden_and_visible(self, cache: Cache) -> None:
        cache.update(STRUCT, [number("a", 1)])
        line = Line(cache, visible=lambda _peer, resource: resource != number("a", 2))
        assert line.says("a") == "+a=1"
        cache.update(STRUCT, [number("a", 2)])
        assert line.hears() == "-a"
        cache.update(STRUCT, [number("a", 3)])
        assert line.hears() == "+a=3"
