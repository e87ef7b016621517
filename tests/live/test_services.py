"""Services as a client sees them: which endpoint answers, how its node gets there, and what happens when none does."""

from __future__ import annotations

import collections
import http.server
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from tests.live.conftest import manifest
from tests.live.harness import Mesh, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

LOAD = str(Path(__file__).parent / "load.py")
SERVER = "spiffe://cluster.local/ns/default/sa/server"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`unready` in it makes pair-b unready."""
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def pairs(mesh: Mesh, folder: Path) -> Iterator[Mesh]:
    """The mesh with the pods and Services of `services.yaml`."""
    text = manifest(folder, "services.yaml").read_text().replace("@FOLDER@", str(folder))
    mesh.apply(text)
    try:
        eventually(lambda: ready(mesh, "pair-a", "pair-b", "refusing-a", "refusing-b"), seconds=60, what="pods")
        eventually(lambda: set(answers(mesh, "http://pair/")) == {"pair-a", "pair-b"}, seconds=60, what="pair")
        yield mesh
    finally:
        mesh.run("delete", "-f", "-", given=text, check=False)


class Host:
    """HTTP on two ports of an address of this host; each answer names the port and the client."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._servers = [http.server.ThreadingHTTPServer((address, 0), _Handler) for _ in range(2)]
        self.ports = tuple(server.server_port for server in self._servers)
        self._threads = [threading.Thread(target=server.serve_forever) for server in self._servers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.connection.getsockname()[1]} saw {self.client_address[0]} {self.path}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def host(pairs: Mesh) -> Iterator[Host]:
    """A server outside the mesh: this host, which the pods reach through the bridge of the nodes."""
    address = pairs.status()["nodes"][0]["address"].rpartition(".")[0] + ".1"
    with Host(address) as made:
        yield made


@pytest.fixture
def applied(pairs: Mesh) -> Iterator[Callable[[str], None]]:
    """Applies manifests, and deletes them after the test."""
    texts: list[str] = []

    def apply(text: str) -> None:
        texts.append(text)
        pairs.apply(text)

    yield apply
    for text in texts:
        pairs.run("delete", "-f", "-", given=text, check=False)


def ready(mesh: Mesh, *pods: str) -> bool:
    return all(is_ready(mesh, pod) for pod in pods)


def is_ready(mesh: Mesh, pod: str) -> bool:
    """Whether the controller is told so, by a file: much faster than the command line."""
    resource = yaml.safe_load((mesh.state_dir / "resources" / "Pod" / "default" / f"{pod}.yaml").read_text())
    conditions = resource.get("status", {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def lines(mesh: Mesh, url: str, count: int = 20, pod: str = "client", options: str = "") -> list[str]:
    """What `count` requests one after the other got, each on its own connection; `failed CODE` for a failed one."""
    script = f"for i in $(seq {count}); do curl -gs -m 10 {options} '{url}' || echo failed $?; done"
    return mesh.exec(pod, "sh", "-c", script).splitlines()


def answers(mesh: Mesh, url: str, count: int = 20, pod: str = "client") -> collections.Counter[str]:
    """How often each server answered."""
    return collections.Counter(line.split()[0] for line in lines(mesh, url, count, pod))


def attempt(mesh: Mesh, url: str, pod: str = "client") -> tuple[str, float]:
    """(what curl got, the seconds it took)"""
    output = mesh.exec(pod, "curl", "-gs", "-m", "10", "-w", r"\n%{exitcode} %{time_total}", url, check=False)
    body, _, last = output.rpartition("\n")
    code, seconds = last.split()
    return body.strip() if code == "0" else f"failed {code}", float(seconds)


def outbound(mesh: Mesh, node: str, target: str) -> dict[str, Any]:
    """The last line of the access log about a connection to `target`, the address that the client aimed at."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [
            line
            for line in mesh.access_log(node)
            if line["direction"] == "outbound" and line.get("dst.target", "").rpartition(":")[0] == target
        ]
        return bool(found)

    eventually(look, what=f"a line about {target} in the access log of {node}")
    return found[-1]


def virtual_address(mesh: Mesh, service: str) -> str:
    return str(json.loads(mesh.run("get", "service", service, "-o", "json"))["spec"]["clusterIP"])


def resolved(mesh: Mesh, name: str, pod: str = "client") -> list[str]:
    """IPv4 addresses of a name."""
    return [line.split()[0] for line in mesh.exec(pod, "getent", "ahostsv4", name, check=False).splitlines()]


# --- which endpoint ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["4", "6"])
def test_both_nodes_serve_at_ports_of_their_own(pairs: Mesh, version: str) -> None:
    got = lines(pairs, "http://pair/", count=30, options=f"-{version}")
    addresses = [each["ip"] for each in pairs.pod("client")["status"]["podIPs"]]
    [mine] = [each for each in addresses if (":" in each) == (version == "6")]
    assert {line.split()[2] for line in got} == {mine}
    counts = collections.Counter(line.split()[0] for line in got)
    assert set(counts) == {"pair-a", "pair-b"}
    assert min(counts.values()) >= 5, counts


def test_no_new_connections_for_a_pod_that_is_not_ready(pairs: Mesh, folder: Path) -> None:
    script = "while :; do date +%s.%N; curl -s -m 5 http://pair/ || echo failed; done"
    client = pairs.start("client", "timeout", "6", "sh", "-c", script)
    time.sleep(1)
    (folder / "unready").touch()
    try:
        eventually(lambda: not is_ready(pairs, "pair-b"), what="pair-b unready")
        changed = time.time()
        output = client.communicate(timeout=30)[0].splitlines()
    finally:
        (folder / "unready").unlink()
    results = [(float(when), what.split()[0]) for when, what in zip(output[::2], output[1::2], strict=False)]
    assert {what for _, what in results} == {"pair-a", "pair-b"}
    last = max(when for when, what in results if what == "pair-b")
    assert last < changed + 1, f"pair-b got a connection {last - changed:.3f} s after it was known to be unready"
    assert results[-1][0] > changed + 2
    eventually(lambda: "pair-b" in answers(pairs, "http://pair/"), what="pair-b serves again")


def test_headless_names_are_pods_and_reached_through_tunnels(pairs: Mesh) -> None:
    assert set(resolved(pairs, "pair-headless")) == {pairs.address("pair-a"), pairs.address("pair-b")}
    for pod, port in (("pair-a", 8080), ("pair-b", 8081)):
        url = f"http://{pod}.pair-headless:{port}/"
        assert lines(pairs, url, count=1, options="-4") == [f"{pod} saw {pairs.address('client')} /"]
    line = outbound(pairs, "node-1", pairs.address("pair-b"))
    assert (line["path"], line["dst.identity"], line["dst.workload"]) == ("hbone", SERVER, "pair-b")
    assert outbound(pairs, "node-1", pairs.address("pair-a"))["path"] == "same-node"


@pytest.mark.parametrize("service", ["pair-local", "pair-same-node"])
def test_traffic_stays_on_its_node(pairs: Mesh, service: str) -> None:
    url = f"http://{service}.default/"
    assert set(answers(pairs, url)) == {"pair-a"}
    assert set(answers(pairs, url, pod="other/teller")) == {"pair-b"}


def test_local_traffic_fails_at_once_where_there_is_no_endpoint(pairs: Mesh) -> None:
    result, seconds = attempt(pairs, "http://far-local/")
    assert result.startswith("failed")
    assert seconds < 2
    assert attempt(pairs, "http://far-local.default/", pod="other/teller")[0].startswith("server saw")


def test_a_preference_is_no_more_than_that(pairs: Mesh, folder: Path) -> None:
    (folder / "unready").touch()
    try:
        eventually(lambda: not is_ready(pairs, "pair-b"), what="pair-b unready")
        teller = partial(answers, pairs, pod="other/teller")
        eventually(lambda: set(teller("http://pair-same-node.default/")) == {"pair-a"}, what="the other node serves")
        assert attempt(pairs, "http://pair-local.default/", pod="other/teller")[0].startswith("failed")
    finally:
        (folder / "unready").unlink()
    eventually(lambda: set(teller("http://pair-same-node.default/")) == {"pair-b"}, what="the own node serves again")


# --- endpoints that fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "serving"), [("half-near", "pair-b"), ("half-far", "pair-a")])
def test_an_endpoint_that_refuses_connections_is_taken_out(pairs: Mesh, service: str, serving: str) -> None:
    """An application that is down while its pod is ready, on the client's node and on the other one."""
    assert serving in answers(pairs, f"http://{service}/")
    eventually(lambda: set(answers(pairs, f"http://{service}/", count=30)) == {serving}, what="only one is used")


def test_a_service_without_endpoints_fails_at_once_and_the_log_says_so(pairs: Mesh) -> None:
    result, seconds = attempt(pairs, "http://nobody/")
    assert result.startswith("failed")
    assert seconds < 2
    line = outbound(pairs, "node-1", virtual_address(pairs, "nobody"))
    assert line["response_flags"] == "UH"
    assert line["dst.service"] == "nobody.default.svc.cluster.local"
    assert (line["src.workload"], line["src.namespace"]) == ("client", "default")


def test_a_port_that_the_service_does_not_have_fails_at_once(pairs: Mesh) -> None:
    result, seconds = attempt(pairs, "http://pair:81/")
    assert result.startswith("failed")
    assert seconds < 2


# --- outside the mesh ----------------------------------------------------------------------------------------------

STATIC = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  resolution: STATIC
  {more}
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  endpoints: [{{address: {address}}}]
"""


def test_a_service_entry_gets_an_address_and_is_reached_in_plain_tcp(
    pairs: Mesh, host: Host, applied: Callable[[str], None]
) -> None:
    name, port = "store.example.com", host.ports[0]
    applied(STATIC.format(name="store", host=name, port=port, address=host.address, more=""))
    eventually(lambda: resolved(pairs, name), what=f"{name} resolves")
    [address] = set(resolved(pairs, name))
    assert address.startswith("240.240.")
    assert attempt(pairs, f"http://{name}/path")[0] == f"{port} saw {pairs.address('client')} /path"
    line = outbound(pairs, "node-1", address)
    assert (line["path"], line["dst.addr"], line["dst.service"]) == ("plain", f"{host.address}:{port}", name)
    result, seconds = attempt(pairs, f"http://{name}:81/")
    assert result.startswith("failed"), "the entry has no port 81"
    assert seconds < 5


def test_a_service_entry_with_addresses_of_its_own(pairs: Mesh, host: Host, applied: Callable[[str], None]) -> None:
    port = host.ports[0]
    applied(
        STATIC.format(
            name="fixed", host="fixed.example.com", port=port, address=host.address, more="addresses: [198.51.100.7]"
        )
    )
    url = "http://198.51.100.7/"
    eventually(lambda: attempt(pairs, url)[0].startswith(str(port)), seconds=60, what="the entry's own address")
    assert resolved(pairs, "fixed.example.com")[0] == "198.51.100.7"


def test_an_endpoint_outside_the_mesh_that_refuses_connections_is_avoided(
    pairs: Mesh, host: Host, applied: Callable[[str], None]
) -> None:
    with socket.create_server((host.address, 0)) as listener:
        closed = listener.getsockname()[1]
    port, name = host.ports[0], "half.example.com"
    refusing = f"{host.address}, ports: {{http: {closed}}}}}, {{address: {host.address}"
    applied(STATIC.format(name="half", host=name, port=port, address=refusing, more=""))
    eventually(lambda: resolved(pairs, name), what=f"{name} resolves")
    counts = answers(pairs, f"http://{name}/", count=40)
    assert counts[str(port)] >= 39, counts


def test_a_service_entry_whose_endpoint_is_a_pod_of_the_mesh_is_reached_through_a_tunnel(
    pairs: Mesh, applied: Callable[[str], None]
) -> None:
    server = pairs.address("server")
    applied(STATIC.format(name="alias", host="alias.example.com", port=8080, address=server, more=""))
    eventually(lambda: resolved(pairs, "alias.example.com"), what="alias.example.com resolves")
    # by the entry's name, and as itself
    for host in ("alias.example.com", server):
        assert lines(pairs, f"http://{host}:{80 if host != server else 8080}/", 1, options="-4")[0].startswith(
            "server saw"
        )
    for target in (resolved(pairs, "alias.example.com")[0], server):
        line = outbound(pairs, "node-1", target)
        assert (line["path"], line["dst.identity"]) == ("hbone", SERVER)


def test_a_service_entry_without_resolution_lets_connections_pass(
    pairs: Mesh, host: Host, applied: Callable[[str], None]
) -> None:
    port = host.ports[0]
    applied(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: passed}\nspec: {hosts: "
        f"[passed.example.com], addresses: [{host.address}/30], ports: [{{number: {port}, name: tcp, protocol: TCP}}]}}"
    )
    eventually(lambda: attempt(pairs, f"http://{host.address}:{port}/")[0].startswith(str(port)), what="it passes")
    eventually(lambda: attempt(pairs, f"http://{host.address}:{host.ports[1]}/")[0].startswith("failed"), what="ports")


ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: weighted-{weight}, labels: {{app: weighted}}}}
spec: {{address: {address}, ports: {{http: {port}}}, weight: {weight}}}
"""
WEIGHTED = """
apiVersion: v1
kind: Service
metadata: {name: weighted}
spec: {selector: {app: weighted}, ports: [{name: http, port: 80, targetPort: web}]}
"""


def test_workload_entries_serve_by_their_weights(pairs: Mesh, host: Host, applied: Callable[[str], None]) -> None:
    entries = [
        ENTRY.format(weight=weight, port=port, address=host.address)
        for weight, port in zip((1, 4), host.ports, strict=True)
    ]
    applied(WEIGHTED + "".join(entries))
    light, heavy = map(str, host.ports)
    eventually(lambda: set(answers(pairs, "http://weighted/")) == {light, heavy}, what="both entries serve")
    counts = answers(pairs, "http://weighted/", count=100)
    assert 70 <= counts[heavy] <= 90, counts
    assert counts[light] + counts[heavy] == 100
    assert lines(pairs, "http://weighted/", count=1)[0].split()[2] == pairs.address("client")


ELSEWHERE = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: elsewhere, labels: {{close: "yes"}}}}
spec: {{address: {address}, ports: {{http: {port}}}, locality: elsewhere/far}}
"""


def test_close_means_the_same_zone(pairs: Mesh, host: Host, applied: Callable[[str], None]) -> None:
    """The nodes name no zone, and neither do their pods, while the WorkloadEntry has one."""
    port = host.ports[0]
    eventually(lambda: set(answers(pairs, "http://close/", count=1)) == {"pair-a"}, what="the pod serves")
    without_preference = WEIGHTED.replace("weighted", "far").replace("{app: far}", '{close: "yes"}')
    applied(ELSEWHERE.format(address=host.address, port=port) + "---" + without_preference)
    eventually(lambda: set(answers(pairs, "http://far/")) == {"pair-a", str(port)}, what="the entry serves")
    assert set(answers(pairs, "http://close/")) == {"pair-a"}


# --- many ----------------------------------------------------------------------------------------------------------

MANY = 300
MANY_SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {{name: many-{number}}}
spec: {{selector: {{app: pair}}, ports: [{{name: http, port: 80, targetPort: web}}]}}
---
"""


def test_hundreds_of_services_at_once_disturb_nothing(pairs: Mesh, host: Host, applied: Callable[[str], None]) -> None:
    text = "".join(
        MANY_SERVICE.format(number=number)
        + STATIC.format(
            name=f"many-{number}", host=f"many-{number}.example.com", port=host.ports[0], address=host.address, more=""
        )
        for number in range(MANY)
    )
    load = pairs.start("client", sys.executable, LOAD, "http://server:8080/,http://pair/", "50", "10")
    applied(text)
    began = time.monotonic()
    last = MANY - 1
    eventually(lambda: "failed" not in answers(pairs, f"http://many-{last}/", count=1), seconds=60, what="a Service")
    entry = f"http://many-{last}.example.com/"
    eventually(lambda: "failed" not in answers(pairs, entry, count=1), seconds=60, what="a ServiceEntry")
    seconds = time.monotonic() - began
    assert seconds < 10, f"{seconds:.1f} s"
    urls = [f"http://many-{number}{domain}/" for number in range(0, MANY, 30) for domain in ("", ".example.com")]
    got = pairs.exec("client", "sh", "-c", f"for url in {' '.join(urls)}; do curl -s -m 10 $url || echo failed; done")
    assert len(got.splitlines()) == len(urls)
    assert "failed" not in got
    output, errors = load.communicate(timeout=60)
    assert load.returncode == 0, errors
    assert json.loads(output)["failed"] == 0, output
