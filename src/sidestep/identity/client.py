"""Client of the CA service (`istio.v1.auth.IstioCertificateService`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import grpc
import grpc.aio

from sidestep.identity.errors import IdentityError, SigningRefusedError, SigningUnavailableError
from sidestep.identity.spiffe import SpiffeId
from sidestep.wire import istio

IMPERSONATED_IDENTITY = "ImpersonatedIdentity"
"""The field of the request's metadata that names the workload, as Istio's ztunnel sends it."""

_REFUSALS = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT})
_TIMEOUT = 10.0


class CertificateClient:
    """Asks the controller for certificates of the workloads of this node."""

    def __init__(
        self,
        open_channel: Callable[[], grpc.aio.Channel],
        *,
        lifetime: dt.timedelta = dt.timedelta(days=1),
    ) -> None:
        """`open_channel` is called for each new connection, so that it can use a renewed node certificate."""
        self._open_channel = open_channel
        self._lifetime = lifetime
        self._channel: grpc.aio.Channel | None = None

    async def sign(self, identity: SpiffeId, csr_pem: str) -> Sequence[str]:
        """Leaf, intermediates and root(s), PEM; raises `SigningRefusedError` or `SigningUnavailableError`."""
        request = istio.IstioCertificateRequest(csr=csr_pem, validity_duration=int(self._lifetime.total_seconds()))
        request.metadata.update({IMPERSONATED_IDENTITY: str(identity)})
        if self._channel is None:
            self._channel = self._open_channel()
        channel = self._channel
        try:
            return await create_certificate(channel, request)
        except SigningUnavailableError:
            await self._discard(channel)
            raise

    async def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._discard(self._channel)

    async def _discard(self, channel: grpc.aio.Channel) -> None:
        """The next call connects afresh: a channel's certificate may have expired, its peer's as well."""
        if self._channel is channel:
            self._channel = None
        await channel.close()


async def create_certificate(
    channel: grpc.aio.Channel, request: istio.IstioCertificateRequest, *, bearer: str | None = None
) -> Sequence[str]:
    """Call the CA service once; turns gRPC errors into `IdentityError`s."""
    call = channel.unary_unary(
        istio.CREATE_CERTIFICATE,
        request_serializer=istio.IstioCertificateRequest.SerializeToString,
        response_deserializer=istio.IstioCertificateResponse.FromString,
    )
    metadata = None if bearer is None else (("authorization", f"Bearer {bearer}"),)
    try:
        response = await call(request, timeout=_TIMEOUT, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        raise _explained(error) from error
    return tuple(response.cert_chain)


def _explained(error: grpc.aio.AioRpcError) -> IdentityError:
    text = f"{error.details() or 'no reason given'} ({error.code().name})"
    if error.code() in _REFUSALS or error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return SigningRefusedError(f"the controller refused: {text}")
    return SigningUnavailableError(f"the controller cannot sign now: {text}")
