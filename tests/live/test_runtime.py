"""The local runtime without a mesh: pods, network, Services, and leaving nothing behind whatever is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidestep.local import cleanup, network
from sidestep.local.layout import Layout

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

SERVER = """
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"VERSION {socket.gethostname()} {self.client_address[0].removeprefix('::ffff:')}\\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("::", 8080), Handler).serve_forever()
"""


def server(version: str = "v1", replicas: int = 2) -> list[dict[str, Any]]:
    container = {
        "name": "main",
        "image": "none",
        "command": [sys.executable, "-u", "-c", SERVER.replace("VERSION", version)],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": {"app": "server"}}, "spec": {"containers": [container]}}
    selector = {"matchLabels": {"app": "server"}}
    spec = {"replicas": replicas, "selector": selector, "template": template}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "server"}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server"},
            "spec": {
                "selector": {"app": "server"},
                "ipFamilyPolicy": "PreferDualStack",
                "ports": [{"port": 80, "targetPort": 8080}],
            },
        },
    ]


def client(node: str = "node-1") -> dict[str, Any]:
    container = {"name": "main", "image": "none", "command": ["sleep", "infinity"]}
    spec = {"nodeName": node, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": spec}


class Local:
    """One instance, driven by its command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout.of(folder / "state")

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sidestep", *arguments]
        environment = os.environ | {"SIDESTEP_STATE_DIR": str(self.layout.state_dir)}
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=90, stdin=subprocess.DEVNULL
        )
        if check:
            assert result.returncode == 0, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def write(self, *resources: dict[str, Any]) -> str:
        path = self.folder / "manifests.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": resources}))
        return str(path)

    def up(self, *resources: dict[str, Any], nodes: int = 1) -> None:
        file = self.write(*resources)
        self.run("up", "--no-mesh", f"--nodes={nodes}", "-f", file, "--detach", "--wait", "40")

    def status(self) -> Any:
        return json.loads(self.run("status", "-o", "json").stdout)

    def pods(self) -> Any:
        return json.loads(self.run("get", "pods", "-o", "json").stdout)["items"]

    def pids(self, role: str) -> list[int]:
        return [process["pid"] for process in self.status()["processes"] if process["role"] == role]

    def shell(self, script: str, pod: str = "client") -> str:
        return self.run("exec", pod, "--", "/bin/sh", "-c", script).stdout

    def service_addresses(self) -> list[str]:
        service = json.loads(self.run("get", "svc", "server", "-o", "json").stdout)
        addresses: list[str] = service["spec"]["clusterIPs"]
        return addresses

    def traces(self) -> list[object]:
        instance = self.layout.instance_id
        return [*network.leftovers(instance), *cleanup.find_processes(instance)]


@pytest.fixture
def make() -> Iterator[Callable[[], Local]]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.fail("live tests need root and Linux")
    made: list[Local] = []

    def one() -> Local:
        made.append(Local(Path(tempfile.mkdtemp(prefix="sidestep-"))))
        return made[-1]

    yield one
    for local in made:
        local.run("down", check=False)
        left = local.traces()
        shutil.rmtree(local.folder)
        assert left == []


@pytest.fixture
def local(make: Callable[[], Local]) -> Local:
    return make()


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_pods_services_and_the_host_reach_each_other(local: Local) -> None:
    local.up(client(), *server(), nodes=2)
    pods = {pod["metadata"]["name"]: pod for pod in local.pods()}
    mine = [entry["ip"] for entry in pods.pop("client")["status"]["podIPs"]]
    assert {pod["spec"]["nodeName"] for pod in pods.values()} == {"node-1", "node-2"}
    for name, pod in pods.items():
        for own, seen in zip([entry["ip"] for entry in pod["status"]["podIPs"]], mine, strict=True):
            url = f"http://[{own}]:8080/" if ":" in own else f"http://{own}:8080/"
            assert local.shell(f"curl -gsS --max-time 5 '{url}'").split() == ["v1", name, seen]
            fetched = subprocess.run(
                ["curl", "-gsS", "--max-time", "5", url], capture_output=True, text=True, check=True
            )
            assert fetched.stdout.split()[:2] == ["v1", name]
    for address in local.service_addresses():
        url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
        answers = local.shell(f"for i in $(seq 30); do curl -gsS --max-time 5 '{url}'; done").splitlines()
        assert {answer.split()[1] for answer in answers} == set(pods)
    resolver = local.shell("cat /etc/resolv.conf; hostname; cat /proc/sys/kernel/hostname")
    assert "search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5" in resolver
    assert resolver.splitlines()[-1] == "client"
    assert Path("/etc/resolv.conf").read_text() not in resolver


def test_exec_and_logs(local: Local) -> None:
    talker = client()
    talker["spec"]["containers"][0]["command"] = ["/bin/sh", "-c", "echo hello; exec sleep infinity"]
    local.up(talker, *server(replicas=1))
    assert local.run("exec", "client", "--", "false", check=False).returncode == 1
    assert local.run("exec", "deploy/server", "--", "/bin/sh", "-c", "exit 7", check=False).returncode == 7
    assert local.run("exec", "nobody", "--", "true", check=False).returncode == 66
    assert local.run("logs", "client").stdout == "hello\n"
    assert "GET /" in local.run("logs", "deploy/server").stdout
    assert "1 node up" in local.run("logs", "runtime").stdout
    assert local.run("logs", "nobody", check=False).returncode == 66


def test_a_killed_container_is_restarted(local: Local) -> None:
    local.up(client())
    before = local.pids("pod")
    os.kill(before[0], signal.SIGKILL)
    until(lambda: bool(local.pids("pod")) and local.pids("pod") != before)
    until(lambda: local.pods()[0]["status"]["containerStatuses"][0]["restartCount"] == 1)


def test_up_after_the_runtime_was_killed(local: Local) -> None:
    local.up(client(), *server(), nodes=2)
    os.kill(local.pids("runtime")[0], signal.SIGKILL)
    until(lambda: local.run("status", check=False).returncode == 69)
    assert local.traces()
    local.run("up", "--no-mesh", "--nodes=2", "--detach", "--wait", "40")
    address = local.service_addresses()[0]
    assert local.shell(f"curl -gsS --max-time 5 http://{address}/").startswith("v1")
    assert len(local.pods()) == 3


def test_down_after_everything_was_killed(local: Local) -> None:
    local.up(client(), *server(), nodes=2)
    for pid in cleanup.find_processes(local.layout.instance_id):
        os.kill(pid, signal.SIGKILL)
    local.run("down")
    assert local.traces() == []
    assert not local.layout.state_dir.exists()


def test_two_instances_do_not_disturb_each_other(make: Callable[[], Local]) -> None:
    one, other = make(), make()
    one.up(client(), *server(replicas=1))
    other.up(client(), *server(replicas=1))
    assert one.status()["nodes"][0]["pod_range"] != other.status()["nodes"][0]["pod_range"]
    one.run("down")
    address = other.service_addresses()[0]
    assert other.shell(f"curl -gsS --max-time 5 http://{address}/").startswith("v1")


def test_a_second_up_is_refused(local: Local) -> None:
    local.up(client())
    result = local.run("up", "--no-mesh", "--detach", check=False)
    assert result.returncode == 69
    assert "is up already" in result.stderr
    assert local.shell("echo alive") == "alive\n"


def test_a_rolling_update_fails_no_request(local: Local) -> None:
    local.up(client(), *server())
    address = local.service_addresses()[0]
    # a new connection each, one after the other, for as long as both generations need
    script = f"for i in $(seq 250); do curl -gsS --max-time 5 http://{address}/ || echo FAILED; sleep 0.02; done"
    command = [sys.executable, "-m", "sidestep", "exec", "client", f"--state-dir={local.layout.state_dir}", "--"]
    with subprocess.Popen([*command, "/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True) as load:
        time.sleep(1)
        local.run("apply", "-f", local.write(client(), *server("v2")))
        answers = load.communicate(timeout=60)[0].splitlines()
    versions = [answer.split()[0] for answer in answers]
    assert set(versions) == {"v1", "v2"}
    assert versions[-1] == "v2"
    until(lambda: len(local.pods()) == 3)


def test_deleting_waits_and_leaves_no_namespace(local: Local) -> None:
    local.up(client(), *server())
    before = set(network.leftovers(local.layout.instance_id))
    local.run("delete", "pod", "client")
    local.run("delete", "deploy", "server")
    until(lambda: local.pods() == [])
    after = set(network.leftovers(local.layout.instance_id))
    assert len(before) - len(after) == 3
    assert local.pids("pod") == []


def test_a_pod_that_cannot_run_is_said_so(local: Local) -> None:
    hopeless = client()
    del hopeless["spec"]["containers"][0]["command"]
    file = local.write(hopeless)
    result = local.run("up", "--no-mesh", "-f", file, "--detach", "--wait", "20", check=False)
    assert result.returncode == 69
    assert "has no command" in result.stderr
    assert "Traceback" not in result.stderr


def test_control_c_in_the_foreground_is_down(local: Local) -> None:
    command = [sys.executable, "-m", "sidestep", "up", "--no-mesh", "-f", local.write(client())]
    environment = os.environ | {"SIDESTEP_STATE_DIR": str(local.layout.state_dir)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line == "1 of 1 pods ready\n":
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert local.traces() == []
    assert not local.layout.state_dir.exists()
