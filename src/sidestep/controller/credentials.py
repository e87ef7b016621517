"""The controller's own certificate, renewed at half of its life without closing the port."""

from __future__ import annotations

import asyncio
import datetime as dt

import grpc
import structlog

from sidestep.identity.authority import Authority
from sidestep.identity.certificate import WorkloadCertificate, new_key_and_csr
from sidestep.identity.join import CONTROLLER_NAME
from sidestep.identity.spiffe import SpiffeId

_log = structlog.get_logger(__name__)


class ServerCredentials:
    """Issues the controller's certificate to itself. `run` keeps it fresh."""

    def __init__(self, authority: Authority, lifetime: dt.timedelta) -> None:
        self._authority = authority
        self._lifetime = lifetime
        self._certificate = self._issue()

    def mutual(self) -> grpc.ServerCredentials:
        """A client must show a certificate of the mesh."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._configuration, require_client_authentication=True
        )

    def server_only(self) -> grpc.ServerCredentials:
        """A client shows no certificate."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._configuration, require_client_authentication=False
        )

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await _sleep_until(self._certificate.renew_at())
            self._certificate = await asyncio.to_thread(self._issue)
            _log.info("controller_certificate_renewed", until=self._certificate.not_after.isoformat())

    def _issue(self) -> WorkloadCertificate:
        identity = SpiffeId.controller(self._authority.trust_domain)
        made = new_key_and_csr(identity)
        issued = self._authority.sign(made.csr_pem, identity, self._lifetime, dns_names=(CONTROLLER_NAME,))
        return WorkloadCertificate.from_issued(identity, issued, made.private_key_pem, now=dt.datetime.now(dt.UTC))

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        """Called by gRPC at each handshake, in a thread of its own: reads one reference."""
        certificate = self._certificate
        return grpc.ssl_server_certificate_configuration(
            [(certificate.private_key_pem.encode(), certificate.chain_pem.encode())],
            root_certificates=self._authority.trust.pem.encode(),
        )


async def _sleep_until(moment: dt.datetime) -> None:
    # in steps: sleeping runs on the monotonic clock, certificates expire on the wall clock
    while (left := (moment - dt.datetime.now(dt.UTC)).total_seconds()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left, 60.0))
