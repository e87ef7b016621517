from typing import Any

from sidestep.cli.listing import listing, pod_state
from sidestep.local.deployments import plan


def pod(name: str = "a", **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": "1970-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}, "status": status}


def cells(
    kind: str, document: dict[str, Any], pods: tuple[dict[str, Any], ...] = (), *, wide: bool = False
) -> dict[str, str]:
    lines = listing(kind, [document], pods, now=5, wide=wide, namespaces=True).splitlines()
    return dict(zip(lines[0].split(), lines[1].split(), strict=True))


def test_a_pod() -> None:
    document = pod(
        phase="Running",
        podIPs=[{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
        containerStatuses=[{"ready": True, "restartCount": 2, "state": {"running": {}}}],
    )
    document["metadata"]["annotations"] = {"ambient.istio.io/redirection": "enabled"}
    document["spec"]["nodeName"] = "node-1"
    assert cells("Pod", document, wide=True) == {
        "NAMESPACE": "shop",
        "NAME": "a",
        "READY": "1/1",
        "STATUS": "Running",
        "RESTARTS": "2",
        "MESH": "yes",
        "AGE": "5s",
        "IP": "10.0.0.1,fd00::1",
        "NODE": "node-1",
    }


def test_the_state_of_a_pod_is_what_matters_most() -> None:
    assert pod_state(pod()) == "Pending"
    crashing = pod(phase="Running", containerStatuses=[{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}])
    assert pod_state(crashing) == "CrashLoopBackOff"
    crashing["metadata"]["deletionTimestamp"] = "now"
    assert pod_state(crashing) == "Terminating"


def test_a_service() -> None:
    spec = {"clusterIPs": ["10.96.0.10", "fd00::10"], "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}
    shown = cells(
        "Service", {"metadata": {"name": "s"}, "spec": spec} | {"metadata": {"name": "s", "namespace": "shop"}}
    )
    assert (shown["CLUSTER-IP"], shown["PORTS"], shown["AGE"]) == ("10.96.0.10,fd00::10", "80/TCP,53/UDP", "?")


def test_a_deployment_counts_its_pods() -> None:
    deployment: dict[str, Any] = {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3, "template": {"spec": {}}},
    }
    made = plan(deployment, [], now="").create
    ready = {**made[0], "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    shown = cells("Deployment", deployment, (ready, made[1]))
    assert (shown["READY"], shown["UP-TO-DATE"]) == ("1/3", "2")
