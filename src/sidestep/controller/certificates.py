"""The CA service (`istio.v1.auth.IstioCertificateService`) for node agents.

A node gets certificates of the identities that run on it, and of no other: a stolen node cannot become the whole mesh.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import grpc
import grpc.aio
import structlog

from sidestep.controller.callers import Context, UnknownCallerError, node_of
from sidestep.identity.authority import Authority
from sidestep.identity.client import IMPERSONATED_IDENTITY
from sidestep.identity.errors import AuthorityError, RequestError
from sidestep.identity.spiffe import InvalidSpiffeIdError, SpiffeId
from sidestep.mesh.model import Mesh
from sidestep.wire import istio

_log = structlog.get_logger(__name__)


class Placement:
    """Which identities run on which node."""

    def __init__(self) -> None:
        self._identities: Mapping[str, frozenset[str]] = {}

    def update(self, mesh: Mesh) -> None:
        """Take over what this mesh says. Workloads without a node are nobody's to speak for."""
        found: dict[str, set[str]] = {}
        for workload in mesh.workloads.values():
            if workload.node:
                found.setdefault(workload.node, set()).add(workload.identity)
        self._identities = {node: frozenset(identities) for node, identities in found.items()}

    def runs_on(self, identity: SpiffeId, node: str) -> bool:
        """Whether a workload with this identity is on that node."""
        return str(identity) in self._identities.get(node, frozenset())


class IssuanceMetrics(Protocol):
    """Counts of certificates."""

    def requested(self) -> None:
        """A request came."""

    def issued(self) -> None:
        """A certificate went out."""

    def refused(self, reason: str) -> None:
        """A caller was refused."""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """No, with the gRPC code and the reason."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Issuer:
    """What joining and the CA service share: sign a request within the limits, count, turn errors into refusals."""

    def __init__(self, authority: Authority, longest: dt.timedelta, metrics: IssuanceMetrics) -> None:
        """`longest` is the most any leaf lives, and what it lives when nothing is asked."""
        self.authority = authority
        self.metrics = metrics
        self._longest = longest

    def wanted_identity(self, request: istio.IstioCertificateRequest) -> SpiffeId:
        """The identity named in the request's metadata."""
        fields = request.metadata.fields
        text = fields[IMPERSONATED_IDENTITY].string_value if IMPERSONATED_IDENTITY in fields else ""
        if not text:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"the metadata names no {IMPERSONATED_IDENTITY}")
        try:
            identity = SpiffeId.parse(text)
        except InvalidSpiffeIdError as error:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        if identity.trust_domain != self.authority.trust_domain:
            reason = f"{identity} is not of the trust domain {self.authority.trust_domain}"
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, reason)
        return identity

    async def issue(self, request: istio.IstioCertificateRequest, identity: SpiffeId) -> istio.IstioCertificateResponse:
        """Sign for an identity that the caller was found to speak for."""
        try:
            lifetime = self._lifetime(request.validity_duration)
            chain = await asyncio.to_thread(self.authority.sign, request.csr, identity, lifetime)
        except RequestError as error:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        except AuthorityError as error:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error
        self.metrics.issued()
        return istio.IstioCertificateResponse(cert_chain=chain)

    def _lifetime(self, seconds: int) -> dt.timedelta:
        if seconds < 0:
            raise RequestError(f"a lifetime must be positive, got {seconds} s")
        if seconds == 0 or seconds >= self._longest.total_seconds():
            return self._longest
        return dt.timedelta(seconds=seconds)


class SigningService:
    """The CA service's one method: counts, logs and answers refusals. Who gets what is the subclass's business."""

    refusal_event: ClassVar[str]
    """Name of the log line about a refusal."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to the server."""
        return handler_of(self.create_certificate)

    async def create_certificate(
        self, request: istio.IstioCertificateRequest, context: Context
    ) -> istio.IstioCertificateResponse:
        """One certificate, or the reason why not."""
        self._issuer.metrics.requested()
        try:
            return await self._create(request, context)
        except Refusal as refusal:
            self._issuer.metrics.refused(refusal.reason)
            _log.warning(self.refusal_event, reason=refusal.reason, peer=context.peer())
            await context.abort(refusal.code, refusal.reason)
            raise

    async def _create(self, request: istio.IstioCertificateRequest, context: Context) -> istio.IstioCertificateResponse:
        """Raises `Refusal`."""
        raise NotImplementedError


class CertificateService(SigningService):
    """Signs for nodes, for workloads that run on them. It belongs to the server that listens with mutual TLS."""

    refusal_event = "certificate_refused"

    def __init__(self, issuer: Issuer, placement: Placement) -> None:
        super().__init__(issuer)
        self._placement = placement

    async def _create(self, request: istio.IstioCertificateRequest, context: Context) -> istio.IstioCertificateResponse:
        try:
            caller = node_of(context.auth_context(), self._issuer.authority.trust_domain, dt.datetime.now(dt.UTC))
        except UnknownCallerError as error:
            raise Refusal(grpc.StatusCode.UNAUTHENTICATED, str(error)) from error
        identity = self._issuer.wanted_identity(request)
        node = caller.node_name or ""
        if not identity.is_workload or not self._placement.runs_on(identity, node):
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, f"no workload on {node} is {identity}")
        response = await self._issuer.issue(request, identity)
        _log.info("certificate_issued", identity=str(identity), node=node)
        return response


def handler_of(method: Any) -> grpc.GenericRpcHandler:
    """The CA service's only method, served by `method`."""
    service, name = istio.CREATE_CERTIFICATE.strip("/").split("/")
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=istio.IstioCertificateRequest.FromString,
                response_serializer=istio.IstioCertificateResponse.SerializeToString,
            )
        },
    )
