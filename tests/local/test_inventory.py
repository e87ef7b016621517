"""What `status` tells, without a mesh."""

from pathlib import Path
from typing import Any

from sidestep.cli.inspect import text_of
from sidestep.local.instance import Instance, node_names
from sidestep.local.inventory import NodeStatus, PodSummary, Status, summaries, take
from sidestep.local.launch import agent
from sidestep.local.layout import Layout
from sidestep.local.options import UpOptions

INSTANCE = Instance(id="abcdef", slot=0, nodes=node_names(2))


def node(
    name: str = "node-1", *, reason: str = "", connected: bool = True, rejections: tuple[str, ...] = ()
) -> NodeStatus:
    return NodeStatus(
        name=name,
        address="172.30.0.11",
        network_namespace=f"ssabcdef-{name}",
        pod_range="10.244.1.0/24",
        ready=not reason,
        reason=reason,
        controller_connected=connected,
        rejections=rejections,
    )


def text(*nodes: NodeStatus, pods: tuple[PodSummary, ...] = (), problems: tuple[Any, ...] = ()) -> str:
    report = Status(instance="abcdef", state_dir="/s", nodes=nodes, processes=(), pods=pods, problems=problems)
    return text_of(report, now=0)


def test_nothing_wrong_is_not_mentioned() -> None:
    assert "Problems" not in text(node())


def test_problems_of_nodes() -> None:
    shown = text(
        node(reason="Envoy does not run"),
        node("node-2", connected=False, rejections=("Listener pod/x: no such filter",)),
    )
    lines = shown.partition("Problems:\n")[2].splitlines()
    assert lines == [
        "  node-1 is not ready: Envoy does not run",
        "  node-2 does not reach the controller and goes on with what it knows of the mesh",
        "  node-2: its Envoy refused a change, and keeps the configuration before it: Listener pod/x: no such filter",
    ]
    assert "not ready   yes" in shown


def test_problems_of_resources() -> None:
    in_a_file = {"file": "a.yaml", "line": 3, "field": "spec.ports", "message": "empty"}
    said_already = {"file": "a.yaml", "line": 4, "field": "kind", "message": "kind: 'X' is ignored"}
    refused = {"node": "node-1", "resource": "Kubernetes//Pod/default/a", "message": "no address"}
    lines = text(node(), problems=(in_a_file, said_already, refused)).partition("Problems:\n")[2].splitlines()
    assert lines == [
        "  a.yaml:3: spec.ports: empty",
        "  a.yaml:4: kind: 'X' is ignored",
        "  node-1 refused Kubernetes//Pod/default/a: no address",
    ]


def test_pods_say_why_they_are_not_ready() -> None:
    def pod(name: str, **status: object) -> dict[str, object]:
        return {"kind": "Pod", "metadata": {"name": name, "namespace": "default", "uid": name}, "status": status}

    crashing = {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "exited with 1"}}}
    pods = tuple(
        summaries(
            [
                pod("good", phase="Running", conditions=[{"type": "Ready", "status": "True"}]),
                pod("starting", phase="Pending"),
                pod("hopeless", phase="Failed", message="container a has no command"),
                pod("crashing", phase="Running", containerStatuses=[crashing]),
            ],
            INSTANCE,
        )
    )
    assert [each.reason for each in pods] == ["", "Pending", "container a has no command", "exited with 1"]
    lines = text(node(), pods=pods).partition("Problems:\n")[2].splitlines()
    assert lines == [
        "  pod default/hopeless is not ready: container a has no command",
        "  pod default/crashing is not ready: exited with 1",
    ]


def test_an_agent_that_does_not_run(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    report = take(layout, INSTANCE)
    assert [each.ready for each in report.nodes] == [False, False]
    assert report.nodes[0].reason == "the agent of node-1 does not answer: No such file or directory"


def test_addresses_of_an_agent(tmp_path: Path) -> None:
    plan = agent(Layout.of(tmp_path), INSTANCE.node("node-1"), UpOptions())
    assert plan.metrics == "http://172.30.0.11:15020/metrics"
    assert plan.admin == f"unix:{tmp_path.resolve()}/nodes/node-1/agent.sock"
