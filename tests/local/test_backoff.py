from hypothesis import given
from hypothesis import strategies as st

from sidestep.local.backoff import Backoff


def test_doubles_up_to_the_maximum() -> None:
    backoff, waits = Backoff(), []
    for _ in range(8):
        backoff = backoff.after_failure(alive=0)
        waits.append(backoff.seconds)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_nothing_failed_nothing_to_wait_for() -> None:
    assert Backoff().seconds == 0


@given(st.integers(0, 100_000), st.floats(10, 1e6))
def test_a_good_run_forgets(failures: int, alive: float) -> None:
    assert Backoff(failures=failures).after_failure(alive).seconds == 0.1


@given(st.integers(0, 100_000))
def test_never_more_than_the_maximum(failures: int) -> None:
    assert 0 <= Backoff(failures=failures).seconds <= 5
