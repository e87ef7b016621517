"""A node proxy is replaced, and pods join and leave, while connections live: none breaks, nothing is lost."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.live.harness import Mesh, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

LOAD = str(Path(__file__).parent / "load.py")
IDLE = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 9000))
connection.sendall(b"idle\\n")
print("open", flush=True)
sys.stdin.readline()
connection.sendall(b"!")
print(connection.recv(1).decode(), flush=True)
"""
STREAM = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 9000))
connection.sendall(f"stream {sys.argv[2]}\\n".encode())
lines = connection.makefile()
print("open", flush=True)
last = -1
for line in lines:
    if line == "end\\n":
        print("complete", last)
        break
    assert int(line) == last + 1
    last += 1
else:
    print("cut after", last)
"""
HALF_CLOSED = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 9000))
connection.sendall(f"stream {sys.argv[2]}\\n".encode())
connection.shutdown(socket.SHUT_WR)
print("open", flush=True)
text = b""
while data := connection.recv(65536):
    text += data
print("complete" if text.endswith(b"end\\n") else "cut", len(text))
"""
DOWNLOAD = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 9000))
connection.sendall(f"download {sys.argv[2]}\\n".encode())
print("open", flush=True)
got = 0
while data := connection.recv(65536):
    got += len(data)
print(got)
"""


@contextmanager
def talking(mesh: Mesh, script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A script in the client pod, once its connection is open."""
    process = mesh.start("client", sys.executable, "-u", "-c", script, *arguments)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n", process.communicate()
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_restart_breaks_nothing(mesh: Mesh, node: str) -> None:
    load = mesh.start("client", sys.executable, LOAD, "http://server:8080/,http://near:8080/", "200", "12")
    with (
        talking(mesh, IDLE, "server") as idle,
        talking(mesh, STREAM, "server", "10") as busy,
        talking(mesh, HALF_CLOSED, "server", "10") as half_closed,
        talking(mesh, IDLE, "near") as idle_near,
    ):
        before = mesh.pid_of_serving_envoy(node)
        mesh.run("restart", node)
        assert mesh.pid_of_serving_envoy(node) != before
        assert busy.communicate(timeout=60)[0].startswith("complete")
        assert half_closed.communicate(timeout=60)[0].startswith("complete")
        assert idle.communicate("\n", timeout=60)[0] == "!\n"
        assert idle_near.communicate("\n", timeout=60)[0] == "!\n"
    output, errors = load.communicate(timeout=120)
    assert load.returncode == 0, errors
    done = json.loads(output)
    assert done["failed"] == 0, done
    # with its last connection gone the old Envoy ends by itself
    eventually(lambda: len(mesh.envoys(node)) == 1, seconds=60, what="the old Envoy is gone")


@pytest.mark.parametrize("pod", ["server", "client"])
def test_leaving_and_joining_breaks_nothing(mesh: Mesh, pod: str) -> None:
    size = 40_000_000
    load = mesh.start("client", sys.executable, LOAD, "http://server:8080/", "200", "12")
    with talking(mesh, DOWNLOAD, "server", str(size)) as before, talking(mesh, STREAM, "server", "10") as stream:
        time.sleep(1)
        took = label(mesh, pod, "none")
        assert took < 1.0
        with talking(mesh, DOWNLOAD, "server", str(size)) as outside:
            time.sleep(1.5)
            took = label(mesh, pod, "ambient")
            assert took < 1.0
            assert outside.communicate(timeout=90)[0] == f"{size}\n"
        assert before.communicate(timeout=90)[0] == f"{size}\n"
        assert stream.communicate(timeout=60)[0].startswith("complete")
    output, errors = load.communicate(timeout=120)
    assert load.returncode == 0, errors
    done = json.loads(output)
    assert done["failed"] == 0, done


def label(mesh: Mesh, name: str, mode: str) -> float:
    """Sets the pod's dataplane mode; seconds until it is in force."""
    resource = mesh.pod(name)
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {**resource["metadata"]["labels"], "istio.io/dataplane-mode": mode},
            },
            "spec": resource["spec"],
        }
    )
    mesh.apply(text)
    started = time.monotonic()
    eventually(lambda: redirected(mesh, name) == (mode == "ambient"), seconds=20, what=f"{name} is {mode}")
    return time.monotonic() - started


def redirected(mesh: Mesh, name: str) -> bool:
    path = mesh.state_dir / "resources" / "Pod" / "default" / f"{name}.yaml"
    return "ambient.istio.io/redirection: enabled" in path.read_text()
