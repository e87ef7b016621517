"""What apply makes of a manifest and what is there."""

from typing import Any

from sidestep.local.merge import REDIRECTION, merge, terminating, user_part

NOW = "2026-01-01T00:00:00Z"


def pod(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", **metadata},
        "spec": {"containers": [{"name": "main", "command": ["true"]}]},
    }


def running() -> dict[str, Any]:
    made = merge(None, pod(labels={"app": "a"}), namespace="default", now=NOW)
    made["spec"]["nodeName"] = "node-2"
    made["status"] = {"podIP": "10.0.0.1"}
    made["metadata"]["annotations"] = {REDIRECTION: "enabled"}
    return made


def test_a_new_resource_gets_a_uid_and_a_time() -> None:
    made = merge(None, pod(), namespace="shop", now=NOW)
    assert made["metadata"]["namespace"] == "shop"
    assert made["metadata"]["creationTimestamp"] == NOW
    assert len(made["metadata"]["uid"]) == 36


def test_what_a_cluster_wrote_into_a_manifest_is_not_taken_over() -> None:
    exported = pod(uid="old", resourceVersion="7", annotations={REDIRECTION: "enabled", "mine": "1"})
    made = merge(None, exported | {"status": {"phase": "Running"}}, namespace="default", now=NOW)
    assert made["metadata"]["uid"] != "old"
    assert made["metadata"]["annotations"] == {"mine": "1"}
    assert "status" not in made
    assert "resourceVersion" not in made["metadata"]


def test_a_label_change_keeps_the_running_pod() -> None:
    old = running()
    new = merge(old, pod(labels={"istio.io/dataplane-mode": "none"}), namespace="default", now="later")
    assert new["metadata"]["uid"] == old["metadata"]["uid"]
    assert new["metadata"]["labels"] == {"istio.io/dataplane-mode": "none"}
    assert new["metadata"]["annotations"] == {REDIRECTION: "enabled"}
    assert new["spec"]["nodeName"] == "node-2"
    assert new["status"] == old["status"]


def test_another_spec_is_another_pod() -> None:
    changed = pod()
    changed["spec"]["containers"][0]["command"] = ["false"]
    new = merge(running(), changed, namespace="default", now=NOW)
    assert new["metadata"]["uid"] != running()["metadata"]["uid"]
    assert "status" not in new


def test_applying_a_pod_that_is_ending_makes_a_new_one() -> None:
    new = merge(terminating(running(), NOW), pod(), namespace="default", now=NOW)
    assert "deletionTimestamp" not in new["metadata"]


def test_a_service_keeps_its_addresses() -> None:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    old = merge(None, manifest, namespace="default", now=NOW)
    old["spec"] |= {"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"]}
    new = merge(old, manifest, namespace="default", now=NOW)
    assert new["spec"]["clusterIPs"] == ["10.96.0.10"]
    headless = {**manifest, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    assert merge(old, headless, namespace="default", now=NOW)["spec"]["clusterIP"] == "None"


def test_the_users_part_is_equal_after_applying_twice() -> None:
    old = running()
    assert user_part(merge(old, pod(labels={"app": "a"}), namespace="default", now="later")) == user_part(old)


def test_the_manifest_itself_is_not_changed() -> None:
    manifest = pod()
    merge(None, manifest, namespace="default", now=NOW)
    assert manifest == pod()
