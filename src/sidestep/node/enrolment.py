"""Pods join and leave the mesh while they run, and nothing that they talk about breaks.

Join: certificate, listeners, policy and DNS first; when all of it listens, capture begins, with the next connection.
Leave: capture of new connections ends first; the listeners stay for as long as a connection goes through them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog

from sidestep.identity.errors import IdentityError
from sidestep.identity.manager import CertificateManager
from sidestep.identity.spiffe import SpiffeId
from sidestep.node import capture
from sidestep.node.configuration import ProxyConfiguration
from sidestep.node.pods import Pod, PodFile
from sidestep.node.settings import NodeSettings
from sidestep.node.sockets import proxied_connections, wait_until_listening
from sidestep.node.translator import names

READY_SECONDS = 20.0
# Peers hear of a change through the controller; what they started before that still arrives.
SETTLE_SECONDS = 2.0
DRAIN_POLL_SECONDS = 1.0

_log = structlog.get_logger()


class EnrolmentError(Exception):
    """A pod cannot join; the message says what stands in the way."""


class Enrolment:
    """The node's pods, from joining to leaving. One change at a time for each pod."""

    def __init__(
        self,
        settings: NodeSettings,
        configuration: ProxyConfiguration,
        certificates: CertificateManager,
        file: PodFile,
        *,
        known: Callable[[Pod], Awaitable[bool]],
        captures_changed: Callable[[], None],
        capture_dns: bool,
    ) -> None:
        """`known` waits until the mesh describes a pod; `captures_changed` tells the DNS server of new pods."""
        self._settings = settings
        self._configuration = configuration
        self._certificates = certificates
        self._file = file
        self._known = known
        self._captures_changed = captures_changed
        self._capture_dns = capture_dns
        self._locks: dict[str, asyncio.Lock] = {}

    def resume(self) -> None:
        """Takes up the pods that the last agent had, so that Envoy finds its configuration unchanged."""
        for pod in self._file.load():
            self._certificates.want(self._identity(pod))
            self._configuration.put_pod(pod)
        self._captures_changed()

    async def enrol(self, pod: Pod) -> None:
        """Returns when the pod's traffic is captured and served. EnrolmentError when that is not possible."""
        async with self._lock(pod.uid):
            if not await asyncio.to_thread(Path(pod.network_namespace).exists):
                raise EnrolmentError(f"pod {pod.key}: there is no network namespace {pod.network_namespace}")
            if not await self._known(pod):
                raise EnrolmentError(
                    f"pod {pod.key}: the mesh does not know such a pod on {self._settings.node} with these addresses; "
                    "is the controller running, and has the pod its addresses in its status?"
                )
            await self._certify(pod)
            await asyncio.to_thread(capture.apply_guard, pod.network_namespace)
            self._configuration.put_pod(pod)
            self._save()
            self._captures_changed()
            await self._wait_for_listeners(pod)
            await asyncio.to_thread(capture.apply_capture, pod.network_namespace, capture.Mode.CAPTURE)
            _log.info("pod.enrolled", pod=pod.key, identity=pod.identity(self._settings.trust_domain))

    async def withdraw(self, uid: str, *, gone: bool) -> None:
        """Returns when no new connection is captured; an unknown uid is no error.

        `gone`: the pod is dead, its listeners go at once.
        """
        async with self._lock(uid):
            pod = self._configuration.pods.get(uid)
            if pod is None:
                return
            if gone:
                self._forget(pod)
                return
            await asyncio.to_thread(capture.apply_capture, pod.network_namespace, capture.Mode.DRAIN)
            self._configuration.put_pod(msgspec.structs.replace(pod, leaving=True))
            self._save()
            _log.info("pod.leaving", pod=pod.key)

    async def run(self) -> None:
        """Watches pods that leave, and lets go of each when its last proxied connection has ended."""
        await asyncio.to_thread(capture.prepare)
        while True:
            await asyncio.sleep(DRAIN_POLL_SECONDS)
            for pod in [pod for pod in self._configuration.pods.values() if pod.leaving]:
                async with self._lock(pod.uid):
                    await self._finish_leaving(pod)
            self._forget_vanished()

    # --- steps ---------------------------------------------------------------------------------------------------

    async def _certify(self, pod: Pod) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._certificates.wait(self._identity(pod))
        except (TimeoutError, IdentityError) as error:
            failure = self._certificates.failures().get(self._identity(pod))
            reason = failure.reason if failure else str(error) or "the controller does not answer"
            raise EnrolmentError(f"pod {pod.key}: no certificate within {READY_SECONDS:.0f} s: {reason}") from error

    async def _wait_for_listeners(self, pod: Pod) -> None:
        ports = set(names.PROXY_PORTS)
        dns = {names.DNS_PORT} if self._capture_dns else set()
        missing = await wait_until_listening(pod.network_namespace, ports | dns, dns, seconds=READY_SECONDS)
        if missing:
            listed = ", ".join(map(str, sorted(missing)))
            raise EnrolmentError(
                f"pod {pod.key}: nothing listens on port {listed} in its network namespace after "
                f"{READY_SECONDS:.0f} s; look at the log of the node's Envoy"
            )

    async def _finish_leaving(self, pod: Pod) -> None:
        try:
            if await proxied_connections(pod.network_namespace, names.PROXY_PORTS):
                return
            await asyncio.sleep(SETTLE_SECONDS)
            if await proxied_connections(pod.network_namespace, names.PROXY_PORTS):
                return
            await asyncio.to_thread(capture.remove_capture, pod.network_namespace)
        except OSError as error:
            _log.info("pod.vanished", pod=pod.key, reason=str(error))
        self._forget(pod)
        _log.info("pod.left", pod=pod.key)

    def _forget_vanished(self) -> None:
        for pod in list(self._configuration.pods.values()):
            if not Path(pod.network_namespace).exists():
                _log.info("pod.vanished", pod=pod.key)
                self._forget(pod)

    def _forget(self, pod: Pod) -> None:
        self._configuration.remove_pod(pod.uid)
        self._locks.pop(pod.uid, None)
        identity = self._identity(pod)
        if all(self._identity(other) != identity for other in self._configuration.pods.values()):
            self._certificates.forget(identity)
            self._configuration.forget_certificate(str(identity))
        self._save()
        self._captures_changed()

    def _identity(self, pod: Pod) -> SpiffeId:
        return SpiffeId.workload(self._settings.trust_domain, pod.namespace, pod.service_account)

    def _save(self) -> None:
        self._file.save(self._configuration.pods.values())

    def _lock(self, uid: str) -> asyncio.Lock:
        return self._locks.setdefault(uid, asyncio.Lock())
