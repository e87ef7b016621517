from typing import Any

from sidestep.api.kubernetes.pod import PodSpec
from sidestep.local.pod_spec import parse_spec
from sidestep.local.pod_status import ContainerState, PodState, is_ready, phase_of, status_document


def spec(policy: str = "Always") -> PodSpec:
    return parse_spec({"spec": {"restartPolicy": policy, "containers": [{"name": "a", "command": ["true"]}]}})


def state(*containers: ContainerState, **fields: Any) -> PodState:
    return PodState(addresses=("10.0.0.1", "fd00::1"), host_address="172.30.0.11", containers=containers, **fields)


RUNS = ContainerState(name="a", pid=7, ready=True, since=0, reason="Running")
WAITS = ContainerState(name="a")
DONE = ContainerState(name="a", exit_code=0, reason="Completed")
CRASHED = ContainerState(name="a", exit_code=1, restarts=3, reason="CrashLoopBackOff", message="exited with 1")


def test_phases() -> None:
    assert phase_of(state(WAITS), spec()) == "Pending"
    assert phase_of(state(RUNS), spec()) == "Running"
    assert phase_of(state(CRASHED), spec()) == "Running"
    assert phase_of(state(DONE), spec("Never")) == "Succeeded"
    assert phase_of(state(ContainerState(name="a", exit_code=3, reason="Error")), spec("Never")) == "Failed"
    assert phase_of(state(failure="no command"), None) == "Failed"


def test_a_running_pod() -> None:
    document = status_document(state(RUNS), spec())
    assert document["podIP"] == "10.0.0.1"
    assert document["podIPs"] == [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]
    assert is_ready({"status": document})
    assert document["containerStatuses"][0]["state"] == {"running": {"startedAt": "1970-01-01T00:00:00Z"}}


def test_not_ready_while_a_container_is_not_or_the_pod_ends() -> None:
    assert not is_ready({"status": status_document(state(RUNS, WAITS), spec())})
    assert not is_ready({"status": status_document(state(RUNS, terminating=True), spec())})
    assert not is_ready({"status": status_document(PodState(), None)})
    assert not is_ready({})


def test_why_a_container_waits() -> None:
    status = status_document(state(CRASHED), spec())["containerStatuses"][0]
    assert status["state"]["waiting"] == {"reason": "CrashLoopBackOff", "message": "exited with 1"}
    assert status["restartCount"] == 3
