"""Certificates that live for seconds are renewed under load; a restarted controller keeps its root."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from tests.live.conftest import manifest
from tests.live.harness import Mesh, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

LOAD = str(Path(__file__).parent / "load.py")
LIFETIME = 8


def test_renewal_under_load_and_one_root_for_ever(own_mesh: Mesh) -> None:
    mesh = own_mesh
    mesh.state_dir.parent.mkdir(exist_ok=True)
    mesh.up(manifest(mesh.state_dir.parent, "pods.yaml"), options=[f"--certificate-lifetime={LIFETIME}s"])
    eventually(lambda: mesh.exec("client", "curl", "-sf", "http://server:8080/", check=False), what="server")
    root = mesh.state_dir / "controller" / "root-cert.pem"
    first = root.read_bytes()
    load = mesh.start("client", sys.executable, LOAD, "http://server:8080/", "200", str(3 * LIFETIME))
    time.sleep(LIFETIME / 2)
    os.kill(mesh.pid("controller"), signal.SIGKILL)
    output, errors = load.communicate(timeout=120)
    assert load.returncode == 0, errors
    done = json.loads(output)
    assert done["failed"] == 0, done
    assert root.read_bytes() == first
    # nothing works with the certificates of the beginning any more
    assert mesh.exec("client", "curl", "-sf", "http://server:8080/").startswith("server saw")
