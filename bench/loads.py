"""What is measured: kinds of load, the paths they take, the commands that make them, and what those commands print.

Requests come from wrk, bulk data from iperf3. Both report on themselves; nothing here measures time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

HTTP_PORT = 8080
BULK_PORT = 5201
_FILTERS = "type.googleapis.com/envoy.extensions.filters."

_UNITS: Mapping[str, float] = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
"""wrk's units of time, in microseconds."""
_PERCENTILE = re.compile(r"^\s+(50|99)(?:\.0+)?%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)\s*$", re.MULTILINE)
_SOCKET_ERRORS = re.compile(
    r"^\s+Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)\s*$", re.MULTILINE
)
_BAD_ANSWERS = re.compile(r"^\s+Non-2xx or 3xx responses: (\d+)\s*$", re.MULTILINE)


class OutputError(ValueError):
    """A tool printed something else than its result."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of load."""

    name: str
    title: str
    tool: Literal["wrk", "iperf3"]
    connections: int
    reconnects: bool = False
    """True: a connection carries one request."""

    @property
    def unit(self) -> str:
        """Of `Outcome.rate`, by the second."""
        return "Gbit" if self.tool == "iperf3" else "connections" if self.reconnects else "requests"


LOADS = (
    Load(name="request-1", title="1 connection", tool="wrk", connections=1),
    Load(name="request-64", title="64 connections", tool="wrk", connections=64),
    Load(name="connect-16", title="new connections, 16 at a time", tool="wrk", connections=16, reconnects=True),
    Load(name="bulk-1", title="1 bulk stream", tool="iperf3", connections=1),
    Load(name="bulk-8", title="8 bulk streams", tool="iperf3", connections=8),
)


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """From a pod to a pod."""

    name: str
    title: str
    client: str
    server: str
    baseline: str
    """Name of the path without a mesh that this one is compared with; its own name when it is that."""


PATHS = (
    Path(name="direct", title="direct", client="client-direct", server="server-direct", baseline="direct"),
    Path(name="hbone", title="HBONE", client="client", server="server", baseline="direct"),
    Path(name="near-direct", title="direct", client="client-direct", server="near-direct", baseline="near-direct"),
    Path(name="near", title="same node", client="client", server="near", baseline="near-direct"),
)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a tool reports."""

    rate: float
    """Requests a second (wrk) or Gbit/s of payload as the receiver counts it (iperf3)."""
    p50: float | None = None
    """Median latency of a request in microseconds; None for bulk."""
    p99: float | None = None
    errors: int = 0
    """Failed connections, reads and writes, timeouts, and answers other than 2xx and 3xx."""


def command(load: Load, address: str, seconds: int) -> list[str]:
    """What to run in the client's pod."""
    host = f"[{address}]" if ":" in address else address
    if load.tool == "iperf3":
        streams = f"--parallel={load.connections}"
        return ["iperf3", "--client", address, f"--port={BULK_PORT}", f"--time={seconds}", streams, "--json"]
    close = ["--header", "Connection: close"] if load.reconnects else []
    counts = ["--threads", "1", "--connections", str(load.connections), "--duration", f"{seconds}s", "--latency"]
    return ["wrk", *counts, *close, f"http://{host}:{HTTP_PORT}/"]


def parse(load: Load, text: str) -> Outcome:
    """What the load's tool printed. Raises `OutputError`."""
    return parse_iperf3(text) if load.tool == "iperf3" else parse_wrk(text)


def parse_wrk(text: str) -> Outcome:
    """The output of `wrk --latency`. Raises `OutputError`."""
    rate = _RATE.search(text)
    latency = {which: float(number) * _UNITS[unit] for which, number, unit in _PERCENTILE.findall(text)}
    if rate is None or latency.keys() != {"50", "99"}:
        raise OutputError(f"wrk did not report its result: {text.strip()[-500:]!r}")
    failures = _SOCKET_ERRORS.search(text)
    answers = _BAD_ANSWERS.search(text)
    errors = sum(map(int, failures.groups())) if failures else 0
    return Outcome(
        rate=float(rate[1]),
        p50=latency["50"],
        p99=latency["99"],
        errors=errors + (int(answers[1]) if answers else 0),
    )


class _Received(msgspec.Struct, frozen=True):
    bits_per_second: float


class _End(msgspec.Struct, frozen=True):
    sum_received: _Received | None = None


class _Iperf3(msgspec.Struct, frozen=True):
    end: _End = _End()
    error: str = ""


def parse_iperf3(text: str) -> Outcome:
    """The output of `iperf3 --json`. Raises `OutputError`."""
    try:
        report = msgspec.json.decode(text, type=_Iperf3)
    except msgspec.DecodeError as error:
        raise OutputError(f"iperf3 did not report its result ({error}): {text.strip()[-500:]!r}") from error
    if report.error or report.end.sum_received is None:
        raise OutputError(f"iperf3 failed: {report.error or 'its report has no sum'}")
    return Outcome(rate=report.end.sum_received.bits_per_second / 1e9)


def server_configuration() -> dict[str, Any]:
    """The server of requests: an Envoy that answers each with the same short text, as JSON for `--config-path`."""
    manager = {
        "@type": _FILTERS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "server",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [_answer()]}]},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": _FILTERS + "http.router.v3.Router",
                    "dynamic_stats": False,
                },
            }
        ],
    }
    listener = {
        "name": "server",
        "address": {"socket_address": {"address": "::", "port_value": HTTP_PORT, "ipv4_compat": True}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


def _answer() -> dict[str, Any]:
    body = {"status": 200, "body": {"inline_string": "one hundred bytes of an answer".ljust(99, ".") + "\n"}}
    return {"match": {"prefix": "/"}, "direct_response": body}
