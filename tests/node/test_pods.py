"""The pods an agent remembers."""

from pathlib import Path

import pytest

from sidestep.node.pods import Pod, PodFile


def pod(namespace: Path, uid: str = "u1") -> Pod:
    return Pod(
        uid=uid,
        name="web",
        namespace="shop",
        service_account="web",
        network_namespace=str(namespace),
        addresses=("10.244.0.1",),
    )


def test_pods_survive_a_restart(tmp_path: Path) -> None:
    file = PodFile(tmp_path / "pods.json")
    assert file.load() == ()
    file.save([pod(tmp_path)])
    assert PodFile(tmp_path / "pods.json").load() == (pod(tmp_path),)


def test_those_without_a_namespace_do_not(tmp_path: Path) -> None:
    file = PodFile(tmp_path / "pods.json")
    file.save([pod(tmp_path), pod(tmp_path / "gone", "u2")])
    assert [each.uid for each in file.load()] == ["u1"]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_text("{")
    with pytest.raises(ValueError, match=r"pods\.json: not a list of pods"):
        PodFile(tmp_path / "pods.json").load()


def test_identity(tmp_path: Path) -> None:
    assert pod(tmp_path).identity("cluster.local") == "spiffe://cluster.local/ns/shop/sa/web"
