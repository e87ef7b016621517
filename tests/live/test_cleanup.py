"""What a person's first hour may hold: the example of the documentation, mistakes, kills, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.conftest import require_root
from tests.live.harness import Mesh, eventually

from sidestep.local import cleanup, host_firewall, namespaces, network
from sidestep.local.instance import load
from sidestep.local.layout import Layout
from sidestep.local.processes import is_alive

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

TWO_PODS = Path(__file__).parents[2] / "samples" / "two-pods.yaml"


@pytest.fixture(scope="module")
def example() -> Iterator[Mesh]:
    """The documentation's example, up."""
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="sscl-", dir="/tmp"))
    started = Mesh(folder / "state")
    try:
        started.up(TWO_PODS)
        yield started
    finally:
        started.attempt("down")
        shutil.rmtree(folder, ignore_errors=True)


def traces(mesh: Mesh) -> list[object]:
    """What of the instance is there outside its state folder."""
    instance = Layout.of(mesh.state_dir).instance_id
    folders = ("/tmp", "/run", "/run/netns", "/var/tmp", "/etc/netns", "/dev/shm")
    files = [path for folder in folders for path in Path(folder).glob(f"*{instance}*")]
    return [*network.leftovers(instance), *cleanup.find_processes(instance), *files]


def shared_memory(mesh: Mesh) -> set[Path]:
    """What the instance's Envoys keep in /dev/shm."""
    found = set()
    for pid in cleanup.find_processes(Layout.of(mesh.state_dir).instance_id):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if "/dev/shm/envoy_shared_memory_" in line:
                found.add(Path(line.split(maxsplit=5)[-1]))
    return found


def kill(mesh: Mesh, *spared: str) -> None:
    """All at once, so that nobody is left to mend anything; but not the roles that are `spared`."""
    kept = {process["pid"] for process in mesh.status()["processes"] if process["role"] in spared}
    pids = cleanup.find_processes(Layout.of(mesh.state_dir).instance_id) - kept
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in pids), what="the end of all processes")


def test_the_example(example: Mesh) -> None:
    assert "Directory listing" in example.exec("client", "curl", "-s", "http://server:8080/")
    assert example.address("client") in example.run("logs", "server")
    status = example.status()
    assert all(node["ready"] and node["controller_connected"] for node in status["nodes"])
    assert status["problems"] == []
    roles = sorted(process["role"] for process in status["processes"])
    assert roles == ["controller", "dns", "dns", "envoy", "envoy", "node", "node", "pod", "pod", "runtime"]


def test_every_address_of_status_answers(example: Mesh) -> None:
    asked = 0
    for process in example.status()["processes"]:
        for address in (process["metrics"], process["admin"]):
            if address.startswith("http://"):
                command = ["curl", "-sSf", "--max-time", "5", address]
                page = subprocess.run(command, check=True, capture_output=True, timeout=10).stdout
                assert process["role"] != "node" or b"\nenvoy_server_live" in page, "a Prometheus finds Envoy's there"
                asked += 1
            elif address:
                path, _, rest = address.removeprefix("unix:").partition(":")
                assert Path(path).is_socket()
                if process["role"] == "envoy":
                    url = f"http://envoy{rest or '/ready'}"
                    command = ["curl", "-sSf", "--max-time", "5", "--unix-socket", path, url]
                    subprocess.run(command, check=True, capture_output=True, timeout=10)
                asked += 1
    assert asked == 2 + 2 * 2 + 2 * 2, "controller, two agents, two Envoys"


def test_a_mistake_in_a_manifest_changes_nothing(example: Mesh) -> None:
    bad = "apiVersion: v1\nkind: Service\nmetadata: {name: server}\nspec:\n  ports: [{port: http}]\n"
    done = example.attempt("apply", "-f", "-", given=bad)
    assert done.returncode == 65
    assert done.stderr.startswith("sidestep: standard input:5: spec.ports[0].port: ")
    # and so does one that an editor makes in the folder itself
    file = example.state_dir / "resources" / "Service" / "default" / "server.yaml"
    good = file.read_text()
    file.write_text(good.replace("port: 8080", "port: http"))
    try:
        eventually(lambda: example.status()["problems"], what="the problem in status")
        assert "Directory listing" in example.exec("client", "curl", "-s", "http://server:8080/")
        shown = example.run("status")
        assert "Problems:" in shown
        assert "spec.ports[0].port" in shown
    finally:
        file.write_text(good)
    eventually(lambda: not example.status()["problems"], what="no problem any more")


def test_a_start_without_hope_ends_at_once(own_mesh: Mesh) -> None:
    began = time.monotonic()
    done = own_mesh.attempt("up", "--detach", "--ca-folder=/does/not/exist")
    assert done.returncode == 65
    assert "sidestep: controller: the CA folder /does/not/exist lacks" in done.stderr
    assert time.monotonic() - began < 30
    assert traces(own_mesh) == []
    own_mesh.down()
    assert not own_mesh.state_dir.exists()


def test_up_and_down_after_everything_was_killed(own_mesh: Mesh, example: Mesh) -> None:
    """Twice: once mended by `up`, once by `down`; the mesh beside it does not notice."""
    own_mesh.up(TWO_PODS)
    plan, other = (load(Layout.of(mesh.state_dir).instance_file) for mesh in (own_mesh, example))
    assert plan is not None
    assert other is not None
    assert plan.slot != other.slot
    memory = shared_memory(own_mesh)
    assert memory
    kill(own_mesh)
    assert own_mesh.attempt("status").returncode == 69
    again = own_mesh.attempt("up", "--nodes=2", "--detach", "--wait=90")
    assert again.returncode == 0, again.stderr
    assert not any(path.exists() for path in memory)
    assert "Directory listing" in own_mesh.exec("client", "curl", "-s", "http://server:8080/")
    memory = shared_memory(own_mesh)
    kill(own_mesh, "envoy", "dns", "pod")
    assert all(path.exists() for path in memory)
    own_mesh.down()
    assert not any(path.exists() for path in memory)
    assert traces(own_mesh) == []
    assert not own_mesh.state_dir.exists()
    assert "Directory listing" in example.exec("client", "curl", "-s", "http://server:8080/")


def test_down_leaves_nothing(example: Mesh) -> None:
    """The last one: it takes the example down."""
    memory = shared_memory(example)
    assert memory
    assert example.attempt("down").stderr.splitlines()[-1] == "down: nothing is left"
    assert traces(example) == []
    assert not any(path.exists() for path in memory)
    assert not example.state_dir.exists()


def test_a_firewall_that_drops_is_found(tmp_path: Path) -> None:
    require_root()
    calls = tmp_path / "bridge-nf-call-iptables"
    calls.write_text("1\n")
    name = "sscl-firewall"
    namespaces.create(name)
    try:
        assert namespaces.run_in(name, lambda: host_firewall.obstacle("ss0badc0", calls=calls)) is None
        chain = "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"
        rules = f"add table ip filter\n{chain}\n"
        command = ["ip", "netns", "exec", name, "nft", "-f", "-"]
        subprocess.run(command, input=rules, text=True, check=True, timeout=10)
        said = namespaces.run_in(name, lambda: host_firewall.obstacle("ss0badc0", calls=calls))
        assert said is not None
        mend = said.partition("`nft ")[2].partition("`")[0]
        subprocess.run(["ip", "netns", "exec", name, "nft", *mend.split()], check=True, timeout=10)
    finally:
        namespaces.remove(name)
