import json
from pathlib import Path

from sidestep.controller.status import ProblemStatus, StatusBoard
from sidestep.mesh.model import Mesh, Workload

PROBLEM = ProblemStatus(severity="error", file="a.yaml", line=3, field="spec.ports[0].port", message="not an integer")
TYPE = "type.googleapis.com/istio.workload.Address"


def _mesh() -> Mesh:
    return Mesh(workloads={"web": Workload(uid="web", name="web", namespace="shop")})


def test_is_written_when_it_changed_only(tmp_path: Path) -> None:
    board = StatusBoard(tmp_path / "status.json")
    board.built(_mesh(), (PROBLEM,), ())
    assert board.save()
    assert not board.save()
    written = json.loads((tmp_path / "status.json").read_bytes())
    assert written["workloads"] == 1
    assert written["problems"] == [
        {
            "severity": "error",
            "file": "a.yaml",
            "line": 3,
            "field": "spec.ports[0].port",
            "message": "not an integer",
            "resource": "",
        }
    ]
    assert json.loads(board.json()) == written


def test_a_rejection_stays_until_the_node_takes_the_resource_or_it_is_gone(tmp_path: Path) -> None:
    board = StatusBoard(tmp_path / "status.json")
    for node in ("node-2", "node-1"):
        board.rejected(node, TYPE, "web", "bad port")
    board.rejected("node-1", TYPE, "db", "bad port")
    assert [each.node for each in board.status.rejections] == ["node-1", "node-1", "node-2"]
    board.built(_mesh(), (), ())
    board.accepted("node-1", TYPE, "web")
    assert [(each.node, each.resource) for each in board.status.rejections] == [("node-1", "db"), ("node-2", "web")]
    board.removed(TYPE, ["db"])
    board.removed("another type", ["web"])
    assert [(each.node, each.resource) for each in board.status.rejections] == [("node-2", "web")]


def test_a_failed_build_keeps_what_is_in_force(tmp_path: Path) -> None:
    board = StatusBoard(tmp_path / "status.json")
    board.built(_mesh(), (), ())
    board.failed((PROBLEM,), "KeyError: x")
    assert board.status.failure == "KeyError: x"
    assert board.status.workloads == 1
    board.built(_mesh(), (), ())
    assert not board.status.failure
