"""The agent's own API (`sidestep.agent.v1.Agent`) on a Unix socket that only its owner can open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from sidestep.envoy.bootstrap import check_socket_path
from sidestep.node.capture import CaptureError
from sidestep.node.enrolment import EnrolmentError
from sidestep.node.pods import Pod
from sidestep.wire import agent

_log = structlog.get_logger()


class Operations(Protocol):
    """What the API does; the runner implements it."""

    async def enrol(self, pod: Pod) -> None:
        """A pod joins."""

    async def withdraw(self, uid: str, *, gone: bool) -> None:
        """A pod leaves."""

    async def status(self) -> agent.StatusResponse:
        """How the node is."""

    async def restart(self) -> agent.RestartResponse:
        """A new Envoy takes over."""


def pod_of(message: agent.Pod) -> Pod:
    """The pod of a request; ValueError names the missing field."""
    for field in ("uid", "name", "namespace", "network_namespace"):
        if not getattr(message, field):
            raise ValueError(f"pod.{field} is empty")
    if not message.addresses:
        raise ValueError("pod.addresses is empty: enrol a pod when its network is up")
    return Pod(
        uid=message.uid,
        name=message.name,
        namespace=message.namespace,
        service_account=message.service_account or "default",
        network_namespace=message.network_namespace,
        addresses=tuple(message.addresses),
    )


class AgentServer:
    """Serves `operations` on `socket` between `start` and `stop`."""

    def __init__(self, socket: Path, operations: Operations) -> None:
        self._socket = socket
        self._operations = operations
        self._server = grpc.aio.server()
        self._server.add_registered_method_handlers("sidestep.agent.v1.Agent", self._handlers())

    async def start(self) -> None:
        """Listens."""
        await listen_on_socket(self._server, self._socket)

    async def stop(self) -> None:
        """Lets running calls end for a second."""
        await self._server.stop(1)

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        return {
            "Enrol": _handler(agent.EnrolRequest, self._enrol),
            "Withdraw": _handler(agent.WithdrawRequest, self._withdraw),
            "Status": _handler(agent.StatusRequest, self._status),
            "Restart": _handler(agent.RestartRequest, self._restart),
        }

    async def _enrol(self, request: agent.EnrolRequest) -> Message:
        await self._operations.enrol(pod_of(request.pod))
        return agent.EnrolResponse()

    async def _withdraw(self, request: agent.WithdrawRequest) -> Message:
        await self._operations.withdraw(request.uid, gone=request.gone)
        return agent.WithdrawResponse()

    async def _status(self, _: agent.StatusRequest) -> Message:
        return await self._operations.status()

    async def _restart(self, _: agent.RestartRequest) -> Message:
        return await self._operations.restart()


async def listen_on_socket(server: grpc.aio.Server, socket: Path) -> None:
    """Starts `server` on a socket that only its owner can open; a file that a killed agent left is replaced.

    The folder belongs to its owner alone, so that nobody gets in before the socket's own mode is set. A umask would
    not do: it is the whole process's, and other threads make files meanwhile.
    """
    check_socket_path(socket)
    socket.parent.chmod(0o700)
    socket.unlink(missing_ok=True)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    socket.chmod(0o600)


def _handler(request_type: type[Message], method: Callable[..., Awaitable[Message]]) -> grpc.RpcMethodHandler[Any, Any]:
    async def call(request: Message, context: grpc.aio.ServicerContext[Message, Message]) -> Message:
        try:
            return await method(request)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (EnrolmentError, CaptureError, OSError) as error:
            _log.warning("api.failed", method=request_type.DESCRIPTOR.name, reason=str(error))
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    return grpc.unary_unary_rpc_method_handler(
        call, request_deserializer=request_type.FromString, response_serializer=_serialize
    )


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
