from __future__ import annotations

import msgspec
import pytest
from bench.loads import LOADS, Load, OutputError, command, parse, parse_iperf3, parse_wrk, server_configuration
from hypothesis import given
from hypothesis import strategies as st

WRK = """\
Running 4s test @ http://10.244.2.3:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    13.37ms   13.87ms 151.79ms   96.49%
    Req/Sec     5.43k     1.66k    9.72k    70.00%
  Latency Distribution
     50%  {p50}
     75%   14.99ms
     90%   19.65ms
     99%  {p99}
  21703 requests in 4.02s, 4.51MB read
{errors}Requests/sec:   {rate}
Transfer/sec:      1.12MB
"""
FACTORS = {"us": 1, "ms": 1000, "s": 1_000_000}


def wrk(*, p50: str = "63.00us", p99: str = "1.05ms", rate: str = "5405.00", errors: str = "") -> str:
    return WRK.format(p50=p50, p99=p99, rate=rate, errors=errors)


def load(name: str) -> Load:
    return next(each for each in LOADS if each.name == name)


def test_wrk_reports_rate_and_latency_in_microseconds() -> None:
    found = parse_wrk(wrk())
    assert (found.rate, found.p50, found.p99, found.errors) == (5405.0, 63.0, 1050.0, 0)


def test_wrk_errors_of_every_kind_are_added_up() -> None:
    errors = "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\n"
    assert parse_wrk(wrk(errors=errors)).errors == 54321


@given(
    st.decimals(min_value=0, max_value=9999, places=2),
    st.sampled_from(sorted(FACTORS)),
    st.decimals(min_value=0, max_value=10**7, places=2),
)
def test_wrk_units(number: object, unit: str, rate: object) -> None:
    found = parse_wrk(wrk(p50=f"{number}{unit}", p99=f"{number}{unit}", rate=str(rate)))
    assert found.p50 == found.p99 == pytest.approx(float(str(number)) * FACTORS[unit])
    assert found.rate == float(str(rate))


@given(st.text())
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(OutputError):
        parse_wrk(text)
    with pytest.raises(OutputError):
        parse_iperf3(text)


def test_wrk_that_was_cut_short_is_refused() -> None:
    with pytest.raises(OutputError, match="unable to connect"):
        parse_wrk("unable to connect to 10.0.0.1:8080 Connection refused")


def test_iperf3_counts_what_was_received() -> None:
    end = {"sum_sent": {"bits_per_second": 9e9}, "sum_received": {"bits_per_second": 8.5e9, "bytes": 1}}
    assert parse_iperf3(msgspec.json.encode({"start": {}, "end": end}).decode()).rate == 8.5


def test_iperf3_says_why_it_failed() -> None:
    with pytest.raises(OutputError, match="the server is busy"):
        parse_iperf3('{"start": {}, "end": {}, "error": "error - the server is busy running a test"}')
    with pytest.raises(OutputError, match="no sum"):
        parse_iperf3('{"end": {}}')


def test_each_tool_gets_its_own_parser() -> None:
    assert parse(load("request-1"), wrk()).p50 == 63.0
    with pytest.raises(OutputError):
        parse(load("bulk-1"), wrk())


def test_commands() -> None:
    assert command(load("bulk-8"), "10.0.0.1", 4) == [
        *("iperf3", "--client", "10.0.0.1", "--port=5201", "--time=4", "--parallel=8", "--json")
    ]
    assert command(load("request-64"), "fd00::1", 4)[-1] == "http://[fd00::1]:8080/"
    assert "Connection: close" in command(load("connect-16"), "10.0.0.1", 4)
    assert "Connection: close" not in command(load("request-64"), "10.0.0.1", 4)


def test_the_answer_has_a_hundred_bytes() -> None:
    text = msgspec.json.encode(server_configuration()).decode()
    body = text.partition('"inline_string":"')[2].partition('"}')[0]
    assert len(body.encode().decode("unicode_escape")) == 100
