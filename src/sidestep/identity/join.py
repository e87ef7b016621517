"""How a node gets its own identity: a join token, exchanged for a certificate, renewed at half of its life.

The token is asked for at every renewal, so that taking it away from the controller ends the node's membership with
its present certificate.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import random
from pathlib import Path

import grpc
import grpc.aio
import structlog

from sidestep.identity.certificate import WorkloadCertificate, new_key_and_csr
from sidestep.identity.client import IMPERSONATED_IDENTITY, create_certificate
from sidestep.identity.errors import (
    AuthorityError,
    IdentityError,
    JoinRefusedError,
    SigningRefusedError,
    SigningUnavailableError,
)
from sidestep.identity.spiffe import SpiffeId
from sidestep.identity.trust import TrustBundle
from sidestep.wire import istio

CONTROLLER_NAME = "sidestep-controller"
"""The DNS name in the controller's certificate: nodes check it instead of an address, which may change."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_LOOK_EVERY = 5.0
_CHANNEL_OPTIONS = (
    ("grpc.ssl_target_name_override", CONTROLLER_NAME),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a channel must not share a connection made with an older certificate
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _JoinPoint:
    """Where and as whom to join."""

    address: str
    root_certificate_path: Path
    token: str = dataclasses.field(repr=False)
    identity: SpiffeId
    lifetime: dt.timedelta


class NodeCredentials:
    """The node's key and certificate (in memory only) and the roots it trusts. `run` keeps them fresh."""

    def __init__(self, point: _JoinPoint, certificate: WorkloadCertificate) -> None:
        """Made by `join`."""
        self._point = point
        self._certificate = certificate

    @property
    def identity(self) -> SpiffeId:
        """`spiffe://<trust domain>/sidestep/node/<name>`."""
        return self._certificate.identity

    @property
    def certificate(self) -> WorkloadCertificate:
        """The one in force."""
        return self._certificate

    def open_channel(self, address: str) -> grpc.aio.Channel:
        """A new mTLS channel to the controller at `host:15012`, with the present certificate. The caller closes it."""
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self._certificate.roots_pem.encode(),
            private_key=self._certificate.private_key_pem.encode(),
            certificate_chain=self._certificate.chain_pem.encode(),
        )
        return grpc.aio.secure_channel(address, credentials, options=_CHANNEL_OPTIONS)

    async def run(self) -> None:
        """Renew at half life, or when the roots change, until cancelled.

        Failures are logged and tried again: the old certificate may still be good.
        """
        while True:
            renew_at = self._certificate.renew_at(random.uniform(-0.05, 0.05))  # noqa: S311 - spreads load
            await self._wait(renew_at)
            self._certificate = await _renew(self._point)
            _log.info("node_certificate_renewed", until=self._certificate.not_after.isoformat())

    async def _wait(self, renew_at: dt.datetime) -> None:
        """Until then, or until the controller has other roots: what it signed with the old ones is of no use there."""
        # in steps: sleeping runs on the monotonic clock, certificates expire on the wall clock
        while (left := (renew_at - dt.datetime.now(dt.UTC)).total_seconds()) > 0:
            await asyncio.sleep(min(left, _LOOK_EVERY))
            if await asyncio.to_thread(self._has_other_roots):
                return

    def _has_other_roots(self) -> bool:
        try:
            published = TrustBundle.parse(self._point.root_certificate_path.read_text())
        except (OSError, ValueError, AuthorityError):
            return False  # being replaced, or gone with its controller: the roots we have are as good as any
        return set(published.roots) != set(TrustBundle.parse(self._certificate.roots_pem).roots)


async def join(
    address: str,
    root_certificate_path: Path,
    token: str,
    node: str,
    trust_domain: str,
    *,
    lifetime: dt.timedelta = dt.timedelta(days=1),
) -> NodeCredentials:
    """Join the mesh at `host:15013`.

    Waits, with growing pauses, for a root certificate file and a controller that are not there yet; raises
    `JoinRefusedError` when the controller says no.
    """
    point = _JoinPoint(
        address=address,
        root_certificate_path=root_certificate_path,
        token=token.strip(),
        identity=SpiffeId.node(trust_domain, node),
        lifetime=lifetime,
    )
    pause = _FIRST_PAUSE
    while True:
        try:
            return NodeCredentials(point, await _join_once(point))
        except SigningRefusedError as error:
            raise JoinRefusedError(f"node {node} may not join at {address}: {error}") from error
        except IdentityError as error:
            _log.warning("join_waits", address=address, reason=str(error), seconds=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


async def _renew(point: _JoinPoint) -> WorkloadCertificate:
    pause = _FIRST_PAUSE
    while True:
        try:
            return await _join_once(point)
        except IdentityError as error:
            _log.warning("node_certificate_not_renewed", reason=str(error), seconds=pause)
        await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load
        pause = min(pause * 2, _LONGEST_PAUSE)


async def _join_once(point: _JoinPoint) -> WorkloadCertificate:
    made = await asyncio.to_thread(new_key_and_csr, point.identity)
    request = istio.IstioCertificateRequest(csr=made.csr_pem, validity_duration=int(point.lifetime.total_seconds()))
    request.metadata.update({IMPERSONATED_IDENTITY: str(point.identity)})
    try:
        roots = await asyncio.to_thread(point.root_certificate_path.read_bytes)
    except OSError as error:
        reason = f"the root certificate {point.root_certificate_path} cannot be read: {error.strerror}"
        raise SigningUnavailableError(reason) from error
    channel = grpc.aio.secure_channel(
        point.address, grpc.ssl_channel_credentials(root_certificates=roots), options=_CHANNEL_OPTIONS
    )
    async with channel:
        issued = await create_certificate(channel, request, bearer=point.token)
    return WorkloadCertificate.from_issued(point.identity, issued, made.private_key_pem, now=dt.datetime.now(dt.UTC))
