from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from sidestep.node.dns.metrics import DnsMetrics
from sidestep.node.dns.runner import DnsOptions, _exposed, check


def test_a_socket_path_that_is_too_long() -> None:
    check(DnsOptions(node="n", xds_socket=Path("/" + "x" * 106)))
    with pytest.raises(ValueError, match="is 108 bytes long, a Unix socket takes 107: use a shorter state folder"):
        check(DnsOptions(node="n", xds_socket=Path("/" + "x" * 107)))


def test_metrics_are_served_on_loopback() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    metrics = DnsMetrics()
    metrics.requests.inc()
    with _exposed(metrics, port):
        assert "istio_dns_requests_total 1.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text


def test_dns_goes_on_without_metrics() -> None:
    with socket.socket() as blocker:
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        with _exposed(DnsMetrics(), blocker.getsockname()[1]):
            pass
