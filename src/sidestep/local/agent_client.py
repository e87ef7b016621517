"""The runtime's side of a node agent's API, over its Unix socket."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from sidestep.local.errors import LocalError, UnavailableError
from sidestep.wire import agent

Response = TypeVar("Response", bound=Message)
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
]


class AgentRefusedError(LocalError):
    """The agent answered with an error; the text is its reason."""


class AgentClient:
    """Calls one agent. It may be used while the agent is down: calls then raise UnavailableError."""

    def __init__(self, socket: Path, node: str) -> None:
        self._node = node
        # gRPC would otherwise send the (escaped) path as the authority, which its server refuses
        options = [*_OPTIONS, ("grpc.default_authority", "localhost")]
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=options)

    async def close(self) -> None:
        await self._channel.close()

    async def enrol(self, pod: agent.Pod, *, timeout: float = 30) -> None:
        """Returns when the pod's traffic is captured and served."""
        await self._call(agent.ENROL, agent.EnrolRequest(pod=pod), agent.EnrolResponse, timeout)

    async def withdraw(self, uid: str, *, gone: bool, timeout: float = 30) -> None:
        """Returns when no new connection is captured. `gone`: the pod is dead."""
        await self._call(agent.WITHDRAW, agent.WithdrawRequest(uid=uid, gone=gone), agent.WithdrawResponse, timeout)

    async def status(self, *, timeout: float = 5) -> agent.StatusResponse:
        return await self._call(agent.STATUS, agent.StatusRequest(), agent.StatusResponse, timeout)

    async def restart(self, *, timeout: float = 60) -> agent.RestartResponse:
        """A new Envoy takes over listening."""
        return await self._call(agent.RESTART, agent.RestartRequest(), agent.RestartResponse, timeout)

    async def _call(self, method: str, request: Message, response: type[Response], timeout: float) -> Response:
        call = self._channel.unary_unary(
            method, request_serializer=_serialize, response_deserializer=response.FromString
        )
        try:
            answer: Response = await call(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                # the last part is the kernel's own word; before it gRPC repeats the path several times
                reason = (error.details() or "").rpartition(": ")[2]
                raise UnavailableError(f"the agent of {self._node} does not answer: {reason}") from error
            raise AgentRefusedError(f"the agent of {self._node}: {error.details()}") from error
        return answer


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
