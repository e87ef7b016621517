from __future__ import annotations

import pytest

from sidestep.mesh.model import ApplicationProtocol
from sidestep.mesh.protocols import application_protocol


@pytest.mark.parametrize(
    ("declared", "name", "expected"),
    [
        ("", "", "unknown"),
        ("", "web", "unknown"),
        ("", "http", "http"),
        ("", "http-web", "http"),
        ("", "httpx", "unknown"),
        ("", "GRPC-api", "grpc"),
        ("", "grpc-web", "http"),
        ("", "grpc-web-api", "http"),
        ("", "https-admin", "tls"),
        ("kubernetes.io/h2c", "tcp-x", "http2"),
        ("HTTP", "", "http"),
        ("example.com/own", "http", "unknown"),
        ("", "redis", "tcp"),
    ],
)
def test_application_protocol(declared: str, name: str, expected: str) -> None:
    assert application_protocol(declared, name) is ApplicationProtocol(expected)
