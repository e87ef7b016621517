"""Endpoints that fail in a row rest, and come back."""

from hypothesis import given
from hypothesis import strategies as st

from sidestep.node.outliers import FAILURES, FIRST_REST_SECONDS, WINDOW_SECONDS, OutlierDetector, parse_failures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(detector: OutlierDetector, times: int = FAILURES) -> list[bool]:
    return [detector.failed("10.0.0.1:80") for _ in range(times)]


def test_five_failures_in_a_row_make_an_endpoint_rest() -> None:
    detector = OutlierDetector(Clock())
    assert fail(detector) == [False] * (FAILURES - 1) + [True]
    assert detector.resting == {"10.0.0.1:80"}


def test_slow_failures_do_not() -> None:
    clock = Clock()
    detector = OutlierDetector(clock)
    for _ in range(3 * FAILURES):
        clock.now += WINDOW_SECONDS
        assert not detector.failed("10.0.0.1:80")


def test_it_comes_back_and_rests_longer_the_next_time() -> None:
    clock = Clock()
    detector = OutlierDetector(clock)
    fail(detector)
    clock.now += FIRST_REST_SECONDS
    assert detector.rested() == {"10.0.0.1:80"}
    assert detector.resting == frozenset()
    fail(detector)
    clock.now += FIRST_REST_SECONDS
    assert detector.rested() == frozenset()
    clock.now += FIRST_REST_SECONDS
    assert detector.rested() == {"10.0.0.1:80"}


def test_failures_while_it_rests_change_nothing() -> None:
    detector = OutlierDetector(Clock())
    fail(detector)
    assert not any(fail(detector, 50))


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["a:1", "b:1"])), max_size=80))
def test_what_rests_comes_back_in_the_end(events: list[tuple[float, str]]) -> None:
    clock = Clock()
    detector = OutlierDetector(clock)
    for pause, endpoint in events:
        clock.now += pause
        detector.failed(endpoint)
        detector.rested()
    clock.now += 1000
    detector.rested()
    assert detector.resting == frozenset()


@given(st.text())
def test_any_text_can_be_a_log(text: str) -> None:
    assert all(isinstance(each, str) for each in parse_failures(text))


def test_lines_of_the_log() -> None:
    assert list(parse_failures('{"destination":"10.0.0.1:80"}\n{"destination":null}\n{"dest')) == ["10.0.0.1:80"]
