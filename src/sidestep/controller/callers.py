"""Who calls: the node behind a connection, proved by its client certificate."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import grpc
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


class NodesOnly(grpc.GenericRpcHandler):
    """Puts the check of the caller in front of every method of the handlers within."""

    def __init__(
        self,
        handlers: Iterable[grpc.GenericRpcHandler],
        trust_domain: str,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`refused` is told the reason of each refusal."""
        self._handlers = tuple(handlers)
        self._trust_domain = trust_domain
        self._refused = refused

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Find the method in the handlers within, and guard it."""
        for each in self._handlers:
            handler = each.service(handler_call_details)
            if handler is not None:
                return self._guarded(handler)
        return None

    def _guarded(self, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._stream(handler.stream_stream), **codec)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary), **codec)
        raise TypeError("only unary and bidirectional methods can be guarded")

    def _stream(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def stream(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
            await self._check(context)
            async for response in inner(requests, context):
                yield response

        return stream

    def _unary(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def unary(request: Any, context: Context) -> Any:
            await self._check(context)
            return await inner(request, context)

        return unary

    async def _check(self, context: Context) -> None:
        try:
            node_of(context.auth_context(), self._trust_domain, dt.datetime.now(dt.UTC))
        except UnknownCallerError as error:
            self._refused(str(error))
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
