"""How the node is, in the words of the agent's API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec
import structlog

from sidestep.envoy.options import EnvoyProcess
from sidestep.node.pods import Pod
from sidestep.wire import agent
from sidestep.xds.peer import Ack, Nack

_log = structlog.get_logger()


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that Envoy refused; the last good one is in force."""

    type_url: str
    resource: str
    message: str


class Rejections:
    """What Envoy refused and has not accepted since."""

    def __init__(self) -> None:
        self._by_resource: dict[tuple[str, str], Rejection] = {}

    def rejected(self, nack: Nack) -> None:
        """Envoy answered NACK."""
        for name in nack.versions:
            self._by_resource[nack.type_url, name] = Rejection(
                type_url=nack.type_url, resource=name, message=nack.message
            )
            _log.error("envoy.rejected", type_url=nack.type_url, resource=name, reason=nack.message)

    def accepted(self, ack: Ack) -> None:
        """Envoy answered ACK."""
        for name in (*ack.versions, *ack.removed):
            self._by_resource.pop((ack.type_url, name), None)

    def __iter__(self) -> Iterator[Rejection]:
        return iter(tuple(self._by_resource.values()))


def envoy_process(process: EnvoyProcess) -> agent.EnvoyProcess:
    """One Envoy."""
    return agent.EnvoyProcess(
        pid=process.pid, epoch=process.epoch, draining=process.draining, connections=process.connections or 0
    )


def response(
    node: str,
    *,
    pods: Iterable[Pod],
    processes: Iterable[EnvoyProcess],
    rejections: Iterable[Rejection],
    connected: bool,
    joined: bool,
    synchronised: bool,
) -> agent.StatusResponse:
    """The answer to Status; `reason` says what is missing, in the order in which it comes."""
    envoys = [envoy_process(each) for each in processes]
    missing = [
        ("Envoy does not run", any(not each.draining for each in envoys)),
        ("the node has not joined the mesh: is the controller running?", joined),
        ("the mesh has not been received from the controller yet", synchronised),
    ]
    reason = next((text for text, fulfilled in missing if not fulfilled), "")
    return agent.StatusResponse(
        node=node,
        ready=not reason,
        reason=reason,
        pods=[pod.to_wire() for pod in pods],
        envoys=envoys,
        controller_connected=connected,
        rejections=[
            agent.Rejection(type_url=each.type_url, resource=each.resource, message=each.message) for each in rejections
        ],
    )


StatusSource = Callable[[], agent.StatusResponse]
