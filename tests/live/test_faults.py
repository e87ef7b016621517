"""kill -9 of one process after the other, under 200 requests a second; nothing needs a hand."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.live.harness import Mesh, alive, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

LOAD = str(Path(__file__).parent / "load.py")
RATE = 200


def start_load(mesh: Mesh, urls: str, seconds: float) -> subprocess.Popen[str]:
    process = mesh.start("client", sys.executable, LOAD, urls, str(RATE), str(seconds))
    time.sleep(1)
    return process


def result(process: subprocess.Popen[str]) -> Any:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return json.loads(output)


@pytest.mark.parametrize("role", ["controller", "node"])
def test_control_plane_deaths_cost_nothing(mesh: Mesh, role: str) -> None:
    node = "node-1" if role == "node" else ""
    victim = mesh.pid(role, node)
    load = start_load(mesh, "http://server:8080/", seconds=8)
    os.kill(victim, signal.SIGKILL)
    # a destination that this node has heard of but never talked to
    fresh = mesh.exec("client", "curl", "-sf", "-m", "15", f"http://{fresh_address(mesh, role)}:8080/")
    assert fresh.startswith("near saw")
    done = result(load)
    assert done["failed"] == 0, done
    eventually(lambda: mesh.pid(role, node) != victim and not alive(victim), what=f"another {role}")
    eventually(lambda: mesh.run("status", "-o", "json") and ready(mesh), what="the mesh is ready again")


def fresh_address(mesh: Mesh, role: str) -> str:
    """An address that is used once: the pod's IPv4, then its IPv6."""
    addresses = [each["ip"] for each in mesh.pod("near")["status"]["podIPs"]]
    if role == "controller":
        return str(next(each for each in addresses if ":" not in each))
    return "[" + str(next(each for each in addresses if ":" in each)) + "]"


def ready(mesh: Mesh) -> bool:
    return mesh.exec("client", "curl", "-sf", "http://server:8080/", check=False).startswith("server saw")


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_envoy_is_back_within_two_seconds(mesh: Mesh, node: str) -> None:
    victim = mesh.pid("envoy", node)
    load = start_load(mesh, "http://server:8080/", seconds=6)
    os.kill(victim, signal.SIGKILL)
    done = result(load)
    assert done["longest_gap"] < 2.0, done
    assert mesh.pid("envoy", node) != victim
    assert ready(mesh)
