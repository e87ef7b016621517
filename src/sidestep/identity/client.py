"""Client of the CA service (`istio.v1.auth.IstioCertificateService`)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

import grpc.aio

from sidestep.identity.spiffe import SpiffeId


class CertificateClient:
    """Asks the controller for certificates of the workloads of this node."""

    def __init__(
        self, open_channel: Callable[[], grpc.aio.Channel], *, lifetime: datetime.timedelta = datetime.timedelta(days=1)
    ) -> None:
        """`open_channel` is called for each new connection, so that it can use a renewed node certificate."""
        self._open_channel = open_channel
        self._lifetime = lifetime

    async def sign(self, identity: SpiffeId, csr_pem: str) -> Sequence[str]:
        """Leaf, intermediates and root(s), PEM; raises `SigningRefusedError` or `SigningUnavailableError`."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close the connection."""
        raise NotImplementedError
