"""A request between two nodes: encrypted on the wire, with the right identities, from the client's own address."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from tests.live.harness import Mesh, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

CLIENT = "spiffe://cluster.local/ns/default/sa/client"
SERVER = "spiffe://cluster.local/ns/default/sa/server"


def capture(mesh: Mesh, folder: Path, seconds: float = 6) -> subprocess.Popen[bytes]:
    """tcpdump on the link of node-1, outside of its namespace."""
    bridge = f"ss{mesh.status()['instance']}n1"
    process = subprocess.Popen(
        [
            *("timeout", str(seconds), "tcpdump", "--immediate-mode", "-i", bridge),
            *("-s0", "-U", "-w", str(folder / "wire.pcap")),
        ],
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert b"listening" in process.stderr.readline()
    return process


def finished(process: subprocess.Popen[bytes], folder: Path) -> bytes:
    """What was on the wire."""
    time.sleep(0.5)
    process.terminate()
    process.wait(10)
    assert process.stderr is not None
    process.stderr.close()
    return (folder / "wire.pcap").read_bytes()


def test_the_server_sees_the_client_and_the_wire_sees_neither(mesh: Mesh, tmp_path: Path) -> None:
    process = capture(mesh, tmp_path)
    answer = mesh.exec("client", "curl", "-sf4", "http://server:8080/a-well-known-text")
    wire = finished(process, tmp_path)
    assert answer.strip() == f"server saw {mesh.address('client')} /a-well-known-text"
    assert b"a-well-known-text" not in wire
    # TLS 1.3 only: no record of the traffic has the ServerHello of an older version's cipher suites
    decoded = subprocess.run(
        ["tcpdump", "-nn", "-r", str(tmp_path / "wire.pcap"), "tcp port 15008"], capture_output=True, check=True
    )
    assert decoded.stdout, "nothing on port 15008"


def test_without_the_mesh_the_wire_shows_the_text(mesh: Mesh, tmp_path: Path) -> None:
    """The capture above would see the text if it were there."""
    process = capture(mesh, tmp_path)
    address = mesh.address("bystander")
    mesh.exec("outside/stranger", "curl", "-sf", f"http://{address}:8080/a-well-known-text")
    assert b"a-well-known-text" in finished(process, tmp_path)


def test_both_ends_prove_who_they_are(mesh: Mesh) -> None:
    mesh.exec("client", "curl", "-sf", "http://server:8080/")

    def lines(node: str, direction: str) -> dict[str, dict[str, str]]:
        return {
            line["traceparent"]: line
            for line in mesh.access_log(node)
            if (line["direction"], line["path"], line.get("dst.workload")) == (direction, "hbone", "server")
        }

    def pairs() -> list[tuple[dict[str, str], dict[str, str]]]:
        """What both nodes wrote of one connection; each writes its log out in its own time."""
        outbound, inbound = lines("node-1", "outbound"), lines("node-2", "inbound")
        return [(outbound[trace], inbound[trace]) for trace in outbound.keys() & inbound.keys()]

    eventually(pairs, what="both ends' lines in the access logs")
    for outbound, inbound in pairs():
        assert (outbound["src.identity"], outbound["dst.identity"]) == (CLIENT, SERVER)
        assert (inbound["src.identity"], inbound["dst.identity"]) == (CLIENT, SERVER)
        assert outbound["tls_version"] == inbound["tls_version"] == "TLSv1.3"
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", inbound["traceparent"])


@pytest.mark.parametrize("version", ["4", "6"])
def test_both_address_families(mesh: Mesh, version: str) -> None:
    answer = mesh.exec("client", "curl", f"-sf{version}", "http://server:8080/")
    addresses = [each["ip"] for each in mesh.pod("client")["status"]["podIPs"]]
    wanted = next(each for each in addresses if (":" in each) == (version == "6"))
    assert answer.split()[2] == wanted


def test_same_node_keeps_the_source_address_too(mesh: Mesh) -> None:
    answer = mesh.exec("client", "curl", "-sf", "http://near:8080/")
    assert answer.strip() == f"near saw {mesh.address('client')} /"
    eventually(
        lambda: any(
            line["path"] == "same-node" and line["src.identity"] == CLIENT and line["dst.identity"] == SERVER
            for line in mesh.access_log("node-1")
        ),
        what="access log",
    )


def test_pod_addresses_and_names_of_every_length(mesh: Mesh) -> None:
    for host in (mesh.address("server"), "server.default", "server.default.svc.cluster.local"):
        assert mesh.exec("client", "curl", "-sf", f"http://{host}:8080/").startswith("server saw")


def test_a_tunnel_for_somebody_else_is_a_bad_request(mesh: Mesh) -> None:
    """Nobody without a certificate of the mesh gets as far as a request."""
    done = mesh.exec(
        "outside/stranger",
        *("curl", "-sk", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code}"),
        f"https://{mesh.address('server')}:15008/",
        check=False,
    )
    assert done.strip() == "000"


def test_a_strange_mesh_address_is_never_dialled_in_plain_text(mesh: Mesh, tmp_path: Path) -> None:
    address = mesh.address("server").rpartition(".")[0] + ".250"
    process = capture(mesh, tmp_path, seconds=12)
    done = mesh.exec("client", "curl", "-s", "-m", "8", f"http://{address}/a-well-known-text", check=False)
    assert done == ""
    assert b"a-well-known-text" not in finished(process, tmp_path)


def test_status_names_every_process_and_address(mesh: Mesh) -> None:
    status = mesh.status()
    roles = sorted(process["role"] for process in status["processes"])
    assert [roles.count(role) for role in ("controller", "node", "envoy", "dns")] == [1, 2, 2, 2], json.dumps(status)
    assert roles.count("pod") >= 5
    assert all(process["pid"] > 0 for process in status["processes"])
