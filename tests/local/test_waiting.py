from typing import Any

import pytest

from sidestep.api.meta import ResourceKey
from sidestep.local import deployments
from sidestep.local.waiting import readiness


def key(kind: str, name: str) -> ResourceKey:
    return ResourceKey(kind=kind, namespace="default", name=name)


def pod(name: str, *, ready: bool, phase: str = "Running", message: str = "") -> dict[str, Any]:
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return {"metadata": {"name": name, "namespace": "default"}, "status": status | {"message": message}}


def test_all_ready() -> None:
    state = readiness(
        {key("Pod", "a"): pod("a", ready=True), key("Pod", "b"): pod("b", ready=False, phase="Succeeded")}
    )
    assert (state.ready, state.wanted, state.missing, state.failed) == (2, 2, (), ())


def test_what_is_missing_is_named() -> None:
    state = readiness({key("Pod", "a"): pod("a", ready=False, message="exited with 1")})
    assert state.missing == ("default/a (exited with 1)",)


def test_what_failed_is_told_apart() -> None:
    assert readiness({key("Pod", "a"): pod("a", ready=False, phase="Failed", message="bad")}).failed == (
        "default/a: bad",
    )


def test_a_pod_that_ends_does_not_count() -> None:
    ending = pod("a", ready=False)
    ending["metadata"]["deletionTimestamp"] = "now"
    assert readiness({key("Pod", "a"): ending}).missing == ()


@pytest.mark.parametrize("version", ["1", "2"])
def test_replicas_that_do_not_exist_yet(version: str) -> None:
    def deployment(content: str) -> dict[str, Any]:
        template = {"metadata": {"labels": {"v": content}}, "spec": {}}
        return {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 2, "template": template}}

    made = deployments.plan(deployment("1"), [], now="").create[0] | {"status": pod("", ready=True)["status"]}
    documents = {key("Deployment", "web"): deployment(version), key("Pod", made["metadata"]["name"]): made}
    state = readiness(documents)
    assert (state.ready, state.wanted) == ((1, 2) if version == "1" else (1, 3))
    assert state.missing == (f"{1 if version == '1' else 2} pods of default/web",)
