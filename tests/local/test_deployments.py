"""Deployments: replicas and rolling updates, stepped until they rest."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidestep.local.deployments import hash_of, owner_of, owns, plan, template_hash

NOW = "2026-01-01T00:00:00Z"
Document = dict[str, Any]


def deployment(replicas: int = 3, version: str = "1", **spec: Any) -> Document:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": version}]}}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"replicas": replicas, "template": template, **spec},
    }


def ready(pod: Document) -> Document:
    return {**pod, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def names(pods: list[Document]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def test_makes_the_missing_pods() -> None:
    actions = plan(deployment(2), [], now=NOW)
    assert len(actions.create) == 2
    made = actions.create[0]
    assert made["metadata"]["labels"]["app"] == "web"
    assert made["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    assert owns(deployment(), made)
    assert owner_of(made) == "web"
    assert hash_of(made) == template_hash(deployment())


def test_a_pod_of_another_deployment_is_not_owned() -> None:
    made = plan(deployment(1), [], now=NOW).create[0]
    other = deployment()
    other["metadata"] = {**other["metadata"], "name": "web-2"}
    assert not owns(other, made)
    assert owner_of({"metadata": {"name": "alone"}}) is None


def test_scaling_down_ends_what_is_not_ready_first() -> None:
    pods = list(plan(deployment(3), [], now=NOW).create)
    pods = [ready(pods[0]), pods[1], ready(pods[2])]
    assert plan(deployment(2), pods, now=NOW).delete == (pods[1]["metadata"]["name"],)


def test_only_the_template_starts_a_new_generation() -> None:
    assert template_hash(deployment(1)) == template_hash(deployment(5))
    assert template_hash(deployment(version="1")) != template_hash(deployment(version="2"))


def test_recreate_ends_all_before_it_makes_any() -> None:
    old = [ready(pod) for pod in plan(deployment(2), [], now=NOW).create]
    new = deployment(2, "2", strategy={"type": "Recreate"})
    first = plan(new, old, now=NOW)
    assert (len(first.create), set(first.delete)) == (0, names(old))
    ending = [{**pod, "metadata": {**pod["metadata"], "deletionTimestamp": NOW}} for pod in old]
    assert plan(new, ending, now=NOW).create == ()
    assert len(plan(new, [], now=NOW).create) == 2


@given(
    replicas=st.integers(0, 12),
    surge=st.sampled_from([0, 1, 3, "25%", "100%"]),
    unavailable=st.sampled_from([0, 1, 2, "25%", "50%"]),
    data=st.data(),
)
def test_a_rolling_update_ends_and_never_has_too_few_or_too_many(
    replicas: int, surge: int | str, unavailable: int | str, data: st.DataObject
) -> None:
    pods = [ready(pod) for pod in plan(deployment(replicas), [], now=NOW).create]
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    new = deployment(replicas, "2", strategy=rolling)
    digest = template_hash(new)
    for _ in range(200):
        actions = plan(new, pods, now=NOW)
        pods = [pod for pod in pods if pod["metadata"]["name"] not in actions.delete] + list(actions.create)
        if not actions.create and not actions.delete and all("status" in pod for pod in pods):
            break
        assert sum("status" in pod for pod in pods) >= replicas // 2 - 2
        assert len(pods) <= 2 * replicas + 3
        waiting = [pod["metadata"]["name"] for pod in pods if "status" not in pod]
        if waiting:
            lucky = data.draw(st.sampled_from(waiting))
            pods = [ready(pod) if pod["metadata"]["name"] == lucky else pod for pod in pods]
    assert len(pods) == replicas
    assert all(hash_of(pod) == digest for pod in pods)


def test_by_default_a_single_replica_is_replaced_only_when_its_successor_is_ready() -> None:
    old = [ready(pod) for pod in plan(deployment(1), [], now=NOW).create]
    new = deployment(1, "2")
    first = plan(new, old, now=NOW)
    assert (len(first.create), first.delete) == (1, ())
    assert plan(new, [*old, *first.create], now=NOW).delete == ()
    assert plan(new, [*old, ready(first.create[0])], now=NOW).delete == tuple(names(old))
