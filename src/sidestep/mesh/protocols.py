"""What a port speaks, as its resource declares it: `appProtocol`, else the beginning of the port's name."""

from __future__ import annotations

from sidestep.mesh.model import ApplicationProtocol

_PROTOCOLS = {
    "http": ApplicationProtocol.HTTP11,
    "http_proxy": ApplicationProtocol.HTTP11,
    "grpc-web": ApplicationProtocol.HTTP11,
    "kubernetes.io/ws": ApplicationProtocol.HTTP11,
    "http2": ApplicationProtocol.HTTP2,
    "h2c": ApplicationProtocol.HTTP2,
    "kubernetes.io/h2c": ApplicationProtocol.HTTP2,
    "grpc": ApplicationProtocol.GRPC,
    "https": ApplicationProtocol.TLS,
    "tls": ApplicationProtocol.TLS,
    "kubernetes.io/wss": ApplicationProtocol.TLS,
    "tcp": ApplicationProtocol.TCP,
    "mongo": ApplicationProtocol.TCP,
    "mysql": ApplicationProtocol.TCP,
    "redis": ApplicationProtocol.TCP,
}


def application_protocol(declared: str | None, port_name: str) -> ApplicationProtocol:
    """Names are as Istio has them: `http`, `http-web`, `grpc-web-api`; anything else is unknown."""
    if declared:
        return _PROTOCOLS.get(declared.lower(), ApplicationProtocol.UNKNOWN)
    name = port_name.lower()
    if name == "grpc-web" or name.startswith("grpc-web-"):
        return ApplicationProtocol.HTTP11
    return _PROTOCOLS.get(name.partition("-")[0], ApplicationProtocol.UNKNOWN)
