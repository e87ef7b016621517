"""Paths of a state folder."""

from pathlib import Path

import pytest

from sidestep.local.errors import UsageError
from sidestep.local.layout import Layout, instance_id


def test_the_id_is_that_of_the_real_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state")
    (tmp_path / "state").mkdir()
    assert instance_id(tmp_path / "link") == instance_id(tmp_path / "state")
    assert instance_id(tmp_path / "state") != instance_id(tmp_path / "other")


def test_a_folder_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long a path"):
        Layout.of(tmp_path / ("x" * 90))


def test_paths_are_inside(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    for path in (layout.agent_socket("node-1"), layout.pod_log("ns", "pod", "main"), layout.root_certificate):
        assert path.is_relative_to(tmp_path)
