from __future__ import annotations

import pytest
from bench.loads import PATHS, Outcome
from bench.results import Sample, medians, ratio
from hypothesis import given
from hypothesis import strategies as st


def sample(load: str, path: str, outcome: Outcome, *, number: int = 0, envoy: float = 0.0, others: float = 0) -> Sample:
    return Sample(
        load=load, path=path, round=number, seconds=4, outcome=outcome, cpu={"envoy node-1": envoy}, others=others
    )


def test_medians_over_rounds() -> None:
    found = medians(
        sample("request-1", "hbone", Outcome(rate=rate, p50=p50, p99=900.0, errors=1), envoy=envoy)
        for rate, p50, envoy in ((5000, 190.0, 2.0), (100, 9000.0, 8.0), (6000, 200.0, 1.0))
    )
    median = found["request-1", "hbone"]
    assert (median.rate, median.p50, median.p99, median.errors) == (5000, 200.0, 900.0, 3)
    assert median.cores == {"envoy node-1": 0.5}
    assert median.cost == pytest.approx(100)


def test_the_cost_of_bulk_is_by_the_megabit() -> None:
    median = medians([sample("bulk-1", "near", Outcome(rate=8.0), envoy=4.0)])["bulk-1", "near"]
    assert median.cost == pytest.approx(125)
    assert (median.p50, median.p99) == (None, None)


def test_ratios_are_against_the_same_load_of_the_baseline() -> None:
    found = medians(
        [
            sample("request-64", "direct", Outcome(rate=100.0, p50=50.0)),
            sample("request-64", "hbone", Outcome(rate=25.0, p50=200.0)),
            sample("request-1", "hbone", Outcome(rate=25.0)),
        ]
    )
    hbone = next(path for path in PATHS if path.name == "hbone")
    assert ratio(found, "request-64", hbone, lambda median: median.rate) == 0.25
    assert ratio(found, "request-64", hbone, lambda median: median.p50) == 4
    assert ratio(found, "request-64", hbone, lambda median: median.p99) is None
    assert ratio(found, "request-1", hbone, lambda median: median.rate) is None


@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=1, max_size=9))
def test_a_median_lies_within_its_samples(rates: list[float]) -> None:
    found = medians(sample("bulk-1", "direct", Outcome(rate=rate)) for rate in rates)["bulk-1", "direct"]
    assert min(rates) <= found.rate <= max(rates)
