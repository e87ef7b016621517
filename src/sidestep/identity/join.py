"""How a node gets its own identity: a join token, exchanged for a certificate, renewed at half of its life."""

from __future__ import annotations

from pathlib import Path

import grpc.aio

from sidestep.identity.certificate import WorkloadCertificate
from sidestep.identity.spiffe import SpiffeId


class NodeCredentials:
    """The node's key and certificate (in memory only) and the roots it trusts. `run` keeps them fresh."""

    @property
    def identity(self) -> SpiffeId:
        """`spiffe://<trust domain>/sidestep/node/<name>`."""
        raise NotImplementedError

    @property
    def certificate(self) -> WorkloadCertificate:
        """The one in force."""
        raise NotImplementedError

    def open_channel(self, address: str) -> grpc.aio.Channel:
        """A new mTLS channel to the controller at `host:15012`, with the present certificate. The caller closes it."""
        raise NotImplementedError

    async def run(self) -> None:
        """Renew at half life until cancelled."""
        raise NotImplementedError


async def join(address: str, root_certificate_path: Path, token: str, node: str, trust_domain: str) -> NodeCredentials:
    """Join the mesh at `host:15013`.

    Waits, with growing pauses, for a root certificate file and a controller that are not there yet; raises
    `JoinRefusedError` when the controller says no.
    """
    raise NotImplementedError
