"""Keeps a valid certificate for every identity that runs on a node.

One task an identity: ask the authority, keep what it gives, ask again at half of the certificate's life. When the
authority refuses or is away the old certificate stays in force, and the question is repeated with growing pauses: a
refusal is no final word, because the controller may see a new pod a moment later than the node does.
"""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from sidestep.identity.certificate import WorkloadCertificate, new_key_and_csr
from sidestep.identity.errors import IdentityError
from sidestep.identity.spiffe import SpiffeId

Sign = Callable[[SpiffeId, str], Awaitable[Sequence[str]]]
"""Takes an identity and a PEM signing request; gives leaf, intermediates and root(s) or raises `IdentityError`."""

Listener = Callable[[WorkloadCertificate], None]
"""Called on each new certificate, in the event loop; must not block."""

_CONCURRENT = 8
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_JITTER = 0.05
_LONGEST_SLEEP = 60.0
"""A sleep runs on the monotonic clock, a certificate expires on the wall clock: look at the latter now and then."""


class Clock(Protocol):
    """Time, replaceable in tests."""

    def now(self) -> datetime.datetime:
        """The wall clock, in UTC."""

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set or the time is over."""


class SystemClock:
    """Real time."""

    def now(self) -> datetime.datetime:
        """The wall clock, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class CertificateFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an identity has no fresh certificate."""

    reason: str
    attempts: int
    since: datetime.datetime


class CertificateManager:
    """Certificates by identity.

    `run` must be running for anything to be signed. All methods are for the event loop's thread.
    """

    def __init__(self, sign: Sign, *, clock: Clock | None = None) -> None:
        """`sign` is e.g. `CertificateClient.sign`."""
        self._sign = sign
        self._clock: Clock = clock or SystemClock()
        self._listeners: list[Listener] = []

    def on_certificate(self, listener: Listener) -> None:
        """Call `listener` with every certificate from now on."""
        self._listeners.append(listener)

    def want(self, identity: SpiffeId) -> None:
        """Keep a certificate for this identity. Asking again retries one that failed before, at once."""
        raise NotImplementedError

    def forget(self, identity: SpiffeId) -> None:
        """Drop the certificate and its key; no more renewals."""
        raise NotImplementedError

    def get(self, identity: SpiffeId) -> WorkloadCertificate | None:
        """The certificate, if there is one in force."""
        raise NotImplementedError

    async def wait(self, identity: SpiffeId) -> WorkloadCertificate:
        """Want it, and wait until it is there; bound it with `asyncio.timeout`."""
        raise NotImplementedError

    def retry(self) -> None:
        """Ask again at once for all that failed, e.g. when the controller is back."""
        raise NotImplementedError

    def certificates(self) -> tuple[WorkloadCertificate, ...]:
        """All that is held, sorted by identity."""
        raise NotImplementedError

    def failures(self) -> Mapping[SpiffeId, CertificateFailure]:
        """The identities whose last question failed."""
        raise NotImplementedError

    async def run(self) -> None:
        """Sign and renew until cancelled."""
        raise NotImplementedError
