"""Who calls: the node behind a connection, proved by its client certificate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import grpc.aio
from cryptography import x509

from sidestep.identity.authority import verify_leaf
from sidestep.identity.errors import CertificateError
from sidestep.identity.spiffe import SpiffeId

Context = grpc.aio.ServicerContext[Any, Any]


class UnknownCallerError(Exception):
    """The caller proved no identity that may use this port."""


def node_of(properties: Mapping[str, Iterable[bytes]], trust_domain: str, now: dt.datetime) -> SpiffeId:
    """The node agent at the other end, from the TLS session's properties (`context.auth_context()`).

    TLS verified the chain when the connection was made; the time is looked at again on each call, because a
    connection may outlive its certificate. Raises `UnknownCallerError`.
    """
    if _only(properties, "ssl_tls_version") != b"TLSv1.3":
        raise UnknownCallerError("this port speaks TLS 1.3 only")
    pem = _only(properties, "x509_pem_cert")
    if pem is None:
        raise UnknownCallerError("a client certificate is needed")
    try:
        leaf = x509.load_pem_x509_certificate(pem)
        identity = verify_leaf(leaf, trust_domain)
    except (ValueError, CertificateError) as error:
        raise UnknownCallerError(f"the client certificate is not acceptable: {error}") from error
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        raise UnknownCallerError(f"the certificate of {identity} is not in force")
    if identity.node_name is None:
        raise UnknownCallerError(f"{identity} is not a node")
    return identity


def _only(properties: Mapping[str, Iterable[bytes]], key: str) -> bytes | None:
    values = tuple(properties.get(key, ()))
    return values[0] if len(values) == 1 else None
