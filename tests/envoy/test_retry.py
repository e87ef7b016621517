from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestep.envoy.retry import Retry


def test_the_first_restart_is_at_once_and_the_next_ones_take_their_time() -> None:
    retry, waits = Retry(), []
    for _ in range(8):
        retry = retry.after_failure(alive=0.1)
        waits.append(retry.seconds)
    assert waits == [0, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_a_long_life_cleans_the_slate() -> None:
    retry = Retry(failures=7).after_failure(alive=60)
    assert retry.seconds == 0


@given(st.integers(0, 10**9))
def test_the_wait_is_bounded(failures: int) -> None:
    assert 0 <= Retry(failures=failures).seconds <= 5
