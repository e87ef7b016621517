"""The demo as a person starts it, from nothing to nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidestep.local.layout import instance_id

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A folder with a short path, since Unix sockets are made in it."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as folder:
        yield Path(folder) / "state"


def names_on_the_host() -> str:
    """Links and network namespaces."""
    commands = (["ip", "-brief", "link"], ["ip", "netns"])
    return "".join(subprocess.run(c, check=True, capture_output=True, text=True).stdout for c in commands)


def test_the_demo_proves_its_points_and_leaves_nothing(state_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sidestep", "demo", "--check"]
    command += [f"--state-dir={state_dir}", f"--captures={tmp_path}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("load", "→ front", "mutual TLS 1.3", "GET /books/the-quiet-harbour", "not once", "✓"):
        assert text in done.stdout
    assert "✗" not in done.stdout
    # the captures are what they were said to be, read by nothing of ours
    heard = {path.stem: path.read_bytes() for path in tmp_path.glob("*.pcap")}
    assert b"the-quiet-harbour" in heard["mesh-off"]
    assert len(heard["mesh-on"]) > 1000
    assert b"the-quiet-harbour" not in heard["mesh-on"] + heard["mesh-on-again"]

    assert not state_dir.exists()
    assert f"ss{instance_id(state_dir)}" not in names_on_the_host()
