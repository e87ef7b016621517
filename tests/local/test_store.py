"""The resources folder as an API server."""

import threading
from pathlib import Path
from typing import Any

import pytest

from sidestep.api.dump import to_yaml
from sidestep.api.meta import ResourceKey
from sidestep.local.apply import apply, delete, ensure_namespace
from sidestep.local.errors import BadDataError
from sidestep.local.instance import Instance, node_names
from sidestep.local.layout import Layout
from sidestep.local.manifests import read_manifests
from sidestep.local.store import Store, load

INSTANCE = Instance(id="abcdef", slot=0, nodes=node_names(1))
POD = ResourceKey(kind="Pod", namespace="default", name="a")
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: main, image: none, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {ports: [{port: 80}], selector: {app: a}}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {ports: [{port: 80}], selector: {app: b}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Layout.of(tmp_path / "state"))


def outcomes(store: Store, folder: Path, text: str, instance: Instance | None = INSTANCE) -> dict[str, str]:
    file = folder / "manifest.yaml"
    file.write_text(text)
    results = apply(store, read_manifests([file]).resources, instance)
    return {f"{result.key.kind}/{result.key.name}": result.outcome for result in results}


def test_apply_twice(store: Store, tmp_path: Path) -> None:
    first = outcomes(store, tmp_path, MANIFEST)
    assert first == {"Namespace/shop": "created", "Pod/a": "created", "Service/a": "created", "Service/b": "created"}
    assert set(outcomes(store, tmp_path, MANIFEST).values()) == {"unchanged"}
    addresses = {document["spec"]["clusterIP"] for document in store.all("Service").values()}
    assert addresses == {"10.96.0.10", "10.96.0.11"}
    changed = MANIFEST.replace("{name: a}\nspec: {containers", "{name: a, labels: {x: y}}\nspec: {containers")
    assert outcomes(store, tmp_path, changed)["Pod/a"] == "configured"
    assert outcomes(store, tmp_path, changed.replace("infinity", "'60'"))["Pod/a"] == "replaced"


def test_a_missing_namespace_is_an_error_and_nothing_is_written(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"manifest\.yaml:\d+: there is no namespace 'shop'"):
        outcomes(store, tmp_path, MANIFEST.replace("name: shop", "name: other"))
    assert store.all() == {}


def test_delete(store: Store, tmp_path: Path) -> None:
    outcomes(store, tmp_path, MANIFEST)
    assert [result.outcome for result in delete(store, [POD, POD], running=False)] == ["deleted", "not found"]
    namespace = ResourceKey(kind="Namespace", namespace="", name="shop")
    delete(store, [namespace], running=False)
    assert {key.name for key in store.all()} == {"a"}


def test_a_running_pod_is_only_asked_to_end(store: Store, tmp_path: Path) -> None:
    outcomes(store, tmp_path, MANIFEST)
    delete(store, [POD], running=True)
    document = store.get(POD)
    assert document is not None
    assert "deletionTimestamp" in document["metadata"]


def test_changes_of_several_writers_are_all_kept(store: Store, tmp_path: Path) -> None:
    outcomes(store, tmp_path, MANIFEST)

    def count(pod: dict[str, Any]) -> dict[str, Any]:
        return {**pod, "status": {"count": pod.get("status", {}).get("count", 0) + 1}}

    def write() -> None:
        mine = Store(Layout.of(tmp_path / "state"))
        for _ in range(25):
            mine.update(POD, count)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    document = store.get(POD)
    assert document is not None
    assert document["status"] == {"count": 100}


def test_update_of_what_is_gone_or_equal(store: Store, tmp_path: Path) -> None:
    assert not store.update(POD, dict)
    outcomes(store, tmp_path, MANIFEST)
    assert not store.update(POD, dict)


def test_ensure_namespace_keeps_what_is_there(store: Store) -> None:
    ensure_namespace(store, "default")
    before = store.all()
    ensure_namespace(store, "default")
    assert store.all() == before


def test_times_stay_text() -> None:
    document = load("metadata: {creationTimestamp: 2026-01-01T00:00:00Z, note: 'yes'}")
    assert document["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert load(to_yaml(document)) == document


def test_a_damaged_file_is_named(store: Store) -> None:
    path = store.path_of(POD)
    path.parent.mkdir(parents=True)
    path.write_text("[")
    with pytest.raises(BadDataError, match=r"a\.yaml is not a resource"):
        store.get(POD)


def test_the_last_good_version_of_a_damaged_file_stays_in_force(store: Store, tmp_path: Path) -> None:
    outcomes(store, tmp_path, MANIFEST)
    before = store.read()[0]
    store.path_of(POD).write_text("[")
    documents, resources = store.read()
    assert documents == before
    assert ("default", "a") in resources.pods
    store.path_of(POD).unlink()
    assert POD not in store.read()[0]
