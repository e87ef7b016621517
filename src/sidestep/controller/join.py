"""Joining: a node shows its token and gets the certificate of its own identity.

The tokens are files named after the nodes. Taking a file away ends that node's membership when its certificate does.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from pathlib import Path

import grpc
import grpc.aio
import structlog

from sidestep.controller.callers import Context
from sidestep.controller.certificates import Issuer, Refusal, SigningService
from sidestep.identity.errors import AuthorityError
from sidestep.identity.files import read_secret
from sidestep.wire import istio

_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_SHORTEST_TOKEN = 16
_REFUSAL_PAUSE = 0.25
"""Slows down guessing a little; what makes guessing hopeless is the length of a token."""

_log = structlog.get_logger(__name__)


class JoinTokens:
    """The tokens of the nodes that may join."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_valid(self, node: str, token: str) -> bool:
        """Whether the token is that node's; blocking.

        An unknown node, a broken file and a wrong token take the same way: what differs stays in our log.
        """
        expected = self._digest(node) or secrets.token_bytes(32)
        given = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        return hmac.compare_digest(expected, given)

    def _digest(self, node: str) -> bytes | None:
        if not _NODE_NAME.fullmatch(node) or ".." in node:
            return None
        try:
            token = read_secret(self._folder / node, what="the join token").strip()
        except AuthorityError as error:
            _log.warning("join_token_unusable", node=node, reason=str(error))
            return None
        if len(token) < _SHORTEST_TOKEN:
            _log.warning("join_token_unusable", node=node, reason=f"shorter than {_SHORTEST_TOKEN} characters")
            return None
        return hashlib.sha256(token).digest()


class JoinService(SigningService):
    """Gives nodes their certificates. It belongs to the server that asks for no client certificate."""

    refusal_event = "join_refused"

    def __init__(self, issuer: Issuer, tokens: JoinTokens) -> None:
        super().__init__(issuer)
        self._tokens = tokens

    async def _create(self, request: istio.IstioCertificateRequest, context: Context) -> istio.IstioCertificateResponse:
        token = _bearer(context)
        identity = self._issuer.wanted_identity(request)
        node = identity.node_name
        if node is None:
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, f"{identity} is not a node: only nodes join")
        if token is None or not await asyncio.to_thread(self._tokens.is_valid, node, token):
            await asyncio.sleep(_REFUSAL_PAUSE)
            raise Refusal(grpc.StatusCode.UNAUTHENTICATED, f"the join token is not that of {node}")
        response = await self._issuer.issue(request, identity)
        _log.info("node_joined", node=node, peer=context.peer())
        return response


def _bearer(context: Context) -> str | None:
    """The token of exactly one `authorization: Bearer …`."""
    found = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    if len(found) != 1 or not isinstance(found[0], str):
        return None
    scheme, _, token = found[0].partition(" ")
    return token if scheme.lower() == "bearer" and token else None
