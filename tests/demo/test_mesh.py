"""The demo's state folder, its view of the pods, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sidestep.demo import shop
from sidestep.demo.mesh import DemoMesh, failure
from sidestep.local.errors import ExitCode, UnavailableError


def write_pod(state: Path, name: str, labels: dict[str, str], *, enrolled: bool = True) -> None:
    path = state / "resources" / "Pod" / "shop" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    annotations = {"ambient.istio.io/redirection": "enabled"} if enrolled else {}
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels, "annotations": annotations},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]},
        "status": {"podIP": "10.244.1.2"},
    }
    path.write_text(yaml.safe_dump(document))


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UnavailableError, match="not empty"):
        DemoMesh(tmp_path).claim()
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_an_empty_or_new_folder_is_claimed(tmp_path: Path) -> None:
    mesh = DemoMesh(tmp_path / "new")
    mesh.claim()
    assert (tmp_path / "new" / "demo").exists()
    with pytest.raises(UnavailableError, match="another demo"):
        DemoMesh(tmp_path / "new").claim()
    mesh.release()
    assert not (tmp_path / "new").exists()


def test_versions_are_part_of_a_label_where_there_are_several(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        write_pod(tmp_path, f"reviews-{version}-x", {"app": "reviews", "version": version}, enrolled=version == "v1")
    write_pod(tmp_path, "front-x", {"app": "front", "version": "v1"})
    found = DemoMesh(tmp_path).workloads()
    assert [(w.label, w.application, w.enrolled) for w in found] == [
        ("front", "front", True),
        ("reviews v1", "reviews", True),
        ("reviews v2", "reviews", False),
    ]


def test_the_load_generator_is_read_on(tmp_path: Path) -> None:
    write_pod(tmp_path, "load-x", {"app": "load", "version": "v1"})
    mesh = DemoMesh(tmp_path)
    log = mesh.layout.pod_log("shop", "load-x", "load")
    log.parent.mkdir(parents=True)
    line = '{"event": "requests", "count": 10, "failed": 1, "p50_ms": 4.0, "p99_ms": 9.0, "service": "load"}\n'
    log.write_text('{"event": "started"}\n' + line + line.replace("4.0", "8.0"))
    report = mesh.load_report()
    assert (report.requests, report.failed, report.median_ms) == (20, 2, 6.0)
    assert mesh.load_report().requests == 0


def test_a_failed_command_speaks_with_its_own_words_and_code() -> None:
    error = failure("up", 65, ["warning: x", "sidestep: front.yaml:3: bad"])
    assert str(error) == "`sidestep up` failed: front.yaml:3: bad"
    assert error.code is ExitCode.BAD_DATA
    assert failure("up", 3, []).code is ExitCode.FAILURE


def test_the_label_is_the_only_difference_between_in_and_out() -> None:
    inside, outside = (yaml.safe_load(shop.namespace_manifest(in_mesh=value)) for value in (True, False))
    assert inside["metadata"].pop("labels") == {"istio.io/dataplane-mode": "ambient"}
    assert inside == outside
    assert inside["metadata"]["name"] == shop.NAMESPACE


def test_the_manifests_are_found() -> None:
    assert {path.name for path in shop.manifests().glob("*.yaml")} >= {"00-namespace.yaml", "front.yaml", "load.yaml"}
