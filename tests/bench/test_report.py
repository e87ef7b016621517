from __future__ import annotations

import io

import msgspec
import pytest
from bench.loads import Outcome
from bench.results import Footprint, Machine, Report, Settings
from bench.usage import Memory
from tests.bench.test_results import sample

from bench import report


@pytest.fixture
def measured() -> Report:
    return Report(
        started="2030-01-01T00:00:00+00:00",
        settings=Settings(rounds=1, seconds=4, concurrency=0),
        machine=Machine(processors=2, model="Testing 1", kernel="6.0", sidestep="0", envoy="1.40.0"),
        first_answers={"hbone": 19.04},
        samples=(
            sample("request-1", "direct", Outcome(rate=15000.0, p50=63.0, p99=150.0), others=0.25),
            sample("request-1", "hbone", Outcome(rate=4800.0, p50=201.6, p99=400.0), envoy=2.0),
        ),
        memory=(Footprint(process="envoy node-1", before=Memory(now=60, peak=61), after=None),),
    )


def printed(measured: Report) -> str:
    stream = io.StringIO()
    report.show(measured, stream)
    return stream.getvalue()


def test_plain_tables(measured: Report) -> None:
    lines = printed(measured).splitlines()
    rows = [line.split() for line in lines]
    assert ["1", "connection", "p50", "µs", "63.0", "202", "3.20"] in rows
    assert ["requests/s", "15,000", "4,800", "0.32"] in rows
    assert ["1", "connection", "HBONE", "0.50", "104.2"] in rows
    assert ["envoy", "node-1", "60.0", "ended"] in rows
    assert "First request, everything discovered on demand: hbone 19.0 ms." in lines
    assert any("up to 0.25 processors" in line for line in lines)


def test_errors_are_told_and_fail(measured: Report) -> None:
    assert not report.failed(measured)
    assert "ERRORS" not in printed(measured)
    bad = sample("connect-16", "near", Outcome(rate=1.0, p50=1.0, p99=1.0, errors=7))
    wrong = msgspec.structs.replace(measured, samples=(*measured.samples, bad))
    assert report.failed(wrong)
    assert "ERRORS: 7 with new connections, 16 at a time, same node (near)." in printed(wrong)


def test_a_terminal_gets_the_same_figures(measured: Report) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    report.show(measured, stream)
    text = stream.getvalue()
    for figure in ("63.0", "3.20", "4,800", "104.2"):
        assert figure in text


def test_a_report_survives_its_json(measured: Report) -> None:
    assert msgspec.json.decode(msgspec.json.encode(measured), type=Report) == measured


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0.123, "0.12"), (9.99, "9.99"), (63.04, "63.0"), (12345.6, "12,346")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert report.number(value) == text
