"""Keeps a valid certificate for every identity that runs on a node.

One task an identity: ask the authority, keep what it gives, ask again at half of the certificate's life. When the
authority refuses or is away the old certificate stays in force, and the question is repeated with growing pauses: a
refusal is no final word, because the controller may see a new pod a moment later than the node does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from sidestep.identity.certificate import WorkloadCertificate, new_key_and_csr
from sidestep.identity.errors import CertificateError, ForgottenError, IdentityError
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


_log = structlog.get_logger(__name__)


class Clock(Protocol):
    """Time, replaceable in tests."""

    def now(self) -> dt.datetime:
        """The wall clock, in UTC."""

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set or the time is over."""


class SystemClock:
    """Real time."""

    def now(self) -> dt.datetime:
        """The wall clock, in UTC."""
        return dt.datetime.now(dt.UTC)

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
    since: dt.datetime


class CertificateManager:
    """Certificates by identity.

    `run` must be running for anything to be signed. All methods are for the event loop's thread.
    """

    def __init__(self, sign: Sign, *, clock: Clock | None = None, jitter: Callable[[], float] = random.random) -> None:
        """`sign` is e.g. `CertificateClient.sign`; `jitter` gives numbers from 0 to 1."""
        self._sign = sign
        self._clock: Clock = clock or SystemClock()
        self._jitter = jitter
        self._listeners: list[Listener] = []
        self._entries: dict[SpiffeId, _Entry] = {}
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._tasks: asyncio.TaskGroup | None = None

    def on_certificate(self, listener: Listener) -> None:
        """Call `listener` with every certificate from now on."""
        self._listeners.append(listener)

    def want(self, identity: SpiffeId) -> None:
        """Keep a certificate for this identity. Asking again retries one that failed before, at once."""
        entry = self._entries.get(identity)
        if entry is None:
            entry = self._entries[identity] = _Entry(identity)
            self._start(entry)
        elif entry.failure is not None:
            entry.wake.set()

    def forget(self, identity: SpiffeId) -> None:
        """Drop the certificate and its key; no more renewals. Who waits for it gets `ForgottenError`."""
        entry = self._entries.pop(identity, None)
        if entry is None:
            return
        if entry.task is not None:
            entry.task.cancel()
        entry.forgotten = True
        entry.certificate = None
        entry.ready.set()

    def get(self, identity: SpiffeId) -> WorkloadCertificate | None:
        """The certificate, if there is one in force."""
        entry = self._entries.get(identity)
        if entry is None or entry.certificate is None or self._clock.now() >= entry.certificate.not_after:
            return None
        return entry.certificate

    async def wait(self, identity: SpiffeId) -> WorkloadCertificate:
        """Want it, and wait until it is there; bound it with `asyncio.timeout`."""
        self.want(identity)
        entry = self._entries[identity]
        while (certificate := self.get(identity)) is None:
            if entry.forgotten:
                raise ForgottenError(f"{identity} is no longer wanted on this node")
            entry.ready.clear()
            await entry.ready.wait()
        return certificate

    def retry(self) -> None:
        """Ask again at once for all that failed, e.g. when the controller is back."""
        for entry in self._entries.values():
            if entry.failure is not None:
                entry.wake.set()

    def certificates(self) -> tuple[WorkloadCertificate, ...]:
        """All that is held, sorted by identity."""
        held = (entry.certificate for _, entry in sorted(self._entries.items()))
        return tuple(certificate for certificate in held if certificate is not None)

    def failures(self) -> Mapping[SpiffeId, CertificateFailure]:
        """The identities whose last question failed."""
        return {key: entry.failure for key, entry in self._entries.items() if entry.failure is not None}

    async def run(self) -> None:
        """Sign and renew until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for entry in self._entries.values():
                    self._start(entry)
                await asyncio.Event().wait()
        finally:
            self._tasks = None

    def _start(self, entry: _Entry) -> None:
        if self._tasks is not None:
            entry.task = self._tasks.create_task(self._keep(entry), name=f"certificate of {entry.identity}")

    async def _keep(self, entry: _Entry) -> None:
        """One identity's life: ask, pause, ask again."""
        while True:
            await self._sleep_until(entry, self._due(entry))
            async with self._slots:
                await self._ask(entry)

    def _due(self, entry: _Entry) -> dt.datetime:
        now = self._clock.now()
        if entry.failure is not None:
            doublings = min(entry.failure.attempts - 1, 16)
            pause = min(_FIRST_PAUSE * 2**doublings, _LONGEST_PAUSE)
            return now + dt.timedelta(seconds=pause * (0.75 + self._jitter() / 2))
        if entry.certificate is None:
            return now
        return entry.certificate.renew_at((2 * self._jitter() - 1) * _JITTER)

    async def _sleep_until(self, entry: _Entry, due: dt.datetime) -> None:
        entry.wake.clear()
        while not entry.wake.is_set() and (left := (due - self._clock.now()).total_seconds()) > 0:
            await self._clock.wait(entry.wake, min(left, _LONGEST_SLEEP))

    async def _ask(self, entry: _Entry) -> None:
        try:
            made = await asyncio.to_thread(new_key_and_csr, entry.identity)
            issued = await self._sign(entry.identity, made.csr_pem)
            certificate = WorkloadCertificate.from_issued(
                entry.identity, issued, made.private_key_pem, now=self._clock.now()
            )
            if not certificate.is_valid(self._clock.now()):
                raise CertificateError(
                    f"the certificate of {entry.identity} is not in force now (from {certificate.not_before} to "
                    f"{certificate.not_after}): compare the clocks of this node and the controller"
                )
        except IdentityError as error:
            self._failed(entry, str(error))
        else:
            entry.certificate, entry.failure = certificate, None
            entry.ready.set()
            for listener in self._listeners:
                listener(certificate)

    def _failed(self, entry: _Entry, reason: str) -> None:
        attempts, since = 1, self._clock.now()
        if entry.failure is not None:
            attempts, since = entry.failure.attempts + 1, entry.failure.since
        entry.failure = CertificateFailure(reason=reason, attempts=attempts, since=since)
        _log.warning("certificate_failed", identity=str(entry.identity), reason=reason, attempts=attempts)


class _Entry:
    """What the manager knows of one identity."""

    def __init__(self, identity: SpiffeId) -> None:
        self.identity = identity
        self.certificate: WorkloadCertificate | None = None
        self.failure: CertificateFailure | None = None
        self.forgotten = False
        self.wake = asyncio.Event()
        self.ready = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
