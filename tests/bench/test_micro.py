from __future__ import annotations

import itertools

import pytest
from bench.micro import Case, cases, timed


def test_the_best_round_counts() -> None:
    calls: list[str] = []
    case = Case(
        title="", work=lambda: calls.append("work"), baseline_title="", baseline=lambda: calls.append("baseline")
    )
    # Beginnings and ends: work takes 5 s, then 2 s; the baseline 1 s, then 4 s.
    ticks = iter([0.0, 5.0, 5.0, 6.0, 10.0, 12.0, 12.0, 16.0])
    timing = timed(case, 2, clock=lambda: next(ticks))
    assert (timing.work, timing.baseline, timing.ratio) == (2000, 1000, 2)
    assert calls == ["work", "baseline"] * 2


def test_nothing_is_infinitely_faster() -> None:
    clock = itertools.cycle([0.0, 1.0, 0.0, 0.0])
    case = Case(title="", work=lambda: None, baseline_title="", baseline=lambda: None)
    assert timed(case, 1, clock=lambda: next(clock)).ratio == float("inf")


@pytest.mark.parametrize("case", list(cases(100)), ids=lambda case: case.title)
def test_every_case_runs(case: Case) -> None:
    timing = timed(case, 1)
    assert timing.work > 0
    assert timing.baseline > 0
