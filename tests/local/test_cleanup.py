"""Finding what an instance left; ending it is tested live."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from sidestep.local import cleanup
from sidestep.local.claim import claim
from sidestep.local.errors import UsageError
from sidestep.local.layout import INSTANCE_VARIABLE, Layout


def test_processes_are_found_by_their_marker_and_nobody_else_is() -> None:
    with (
        subprocess.Popen(["sleep", "60"], env={**os.environ, INSTANCE_VARIABLE: "0badc0"}) as mine,
        subprocess.Popen(["sleep", "60"], env={**os.environ, INSTANCE_VARIABLE: "0badc1"}) as other,
    ):
        try:
            assert cleanup.find_processes("0badc0") == {mine.pid}
        finally:
            mine.kill()
            other.kill()
    assert cleanup.find_processes("0badc0") == frozenset()


def test_erase_leaves_what_is_not_ours(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    claim(layout)
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (layout.resources, layout.controller, layout.run, layout.logs):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    cleanup.erase(layout, keep=True)
    assert {path.name for path in tmp_path.iterdir()} == {".sidestep", "notes.txt", "resources", "controller"}
    cleanup.erase(layout, keep=False)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt"}


def test_a_state_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    claim(Layout.of(tmp_path))
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_an_empty_state_folder_goes_as_well(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "state")
    claim(layout)
    layout.run.mkdir()
    cleanup.erase(layout, keep=False)
    assert not layout.state_dir.exists()


def test_a_folder_of_somebody_else_is_neither_taken_nor_emptied(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    layout.resources.mkdir()
    with pytest.raises(UsageError, match="not a state folder"):
        claim(layout)
    cleanup.erase(layout, keep=False)
    assert layout.resources.exists()


def test_shared_memory_of_dead_envoys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "shm"
    memory.mkdir()
    for name in (
        "envoy_shared_memory_70",
        "envoy_shared_memory_80",
        "envoy_shared_memory_7",
        "envoy_shared_memory_x",
        "other_7",
    ):
        (memory / name).touch()
    monkeypatch.setattr(cleanup, "_SHARED_MEMORY", memory)
    layout = Layout.of(tmp_path / "state")
    layout.node("node-1").mkdir(parents=True)
    (layout.node("node-1") / "envoy.json").write_text(json.dumps({"generations": [{"base_id": 7, "pid": 1}]}))
    (layout.node("node-1") / "broken.json").write_text("{")
    assert cleanup._orphaned_shared_memory(layout) == {memory / "envoy_shared_memory_70"}
