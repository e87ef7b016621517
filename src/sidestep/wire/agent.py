"""The node agent's own API, spoken over a Unix socket on the node."""

from sidestep.wire._pb.agent.agent_pb2 import (
    EnrolRequest,
    EnrolResponse,
    EnvoyProcess,
    Pod,
    PodCapture,
    Rejection,
    RestartRequest,
    RestartResponse,
    StatusRequest,
    StatusResponse,
    WithdrawRequest,
    WithdrawResponse,
)

__all__ = [
    "ENROL",
    "POD_CAPTURE",
    "RESTART",
    "STATUS",
    "WITHDRAW",
    "EnrolRequest",
    "EnrolResponse",
    "EnvoyProcess",
    "Pod",
    "PodCapture",
    "Rejection",
    "RestartRequest",
    "RestartResponse",
    "StatusRequest",
    "StatusResponse",
    "WithdrawRequest",
    "WithdrawResponse",
]

_SERVICE = "/sidestep.agent.v1.Agent/"
ENROL = _SERVICE + "Enrol"
WITHDRAW = _SERVICE + "Withdraw"
STATUS = _SERVICE + "Status"
RESTART = _SERVICE + "Restart"
POD_CAPTURE = "type.googleapis.com/sidestep.agent.v1.PodCapture"
