"""What an attacker tries: other certificates, other addresses, other ports, and waiting for something to break."""

import asyncio
import base64
import contextlib
import datetime as dt
import functools
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from tests.live import hbone
from tests.live.harness import Mesh, eventually
from tests.live.hbone import Answer, connect

from sidestep.demo.capture import Capture
from sidestep.identity.authority import Authority
from sidestep.identity.certificate import WorkloadCertificate, new_key_and_csr
from sidestep.identity.client import CertificateClient
from sidestep.identity.errors import JoinRefusedError, SigningRefusedError
from sidestep.identity.join import NodeCredentials, join
from sidestep.identity.spiffe import SpiffeId
from sidestep.wire import envoy as pb
from sidestep.wire import istio
from sidestep.xds.server import METHOD

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

HTTP = b"GET /through HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n"
TRUST_DOMAIN = "cluster.local"
PEER_AUTHENTICATION = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec: {mtls: {mode: STRICT}}
"""
DENY_WEB = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-web, namespace: default}
spec:
  selector: {matchLabels: {app: server}}
  action: DENY
  rules: [{to: [{operation: {ports: ["8080"]}}]}]
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: in-between, namespace: outside}
spec:
  hosts: [in-between.example]
  addresses: [0.0.0.0/1]
  ports: [{number: 8080, name: tcp, protocol: TCP}]
  resolution: NONE
  location: MESH_EXTERNAL
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: in-between, namespace: outside}
spec: {address: ADDRESS}
"""


@contextlib.contextmanager
def applied(mesh: Mesh, text: str) -> Iterator[None]:
    mesh.apply(text)
    try:
        yield
    finally:
        mesh.run("delete", "-f", "-", given=text)


@functools.cache
def addresses_of(mesh: Mesh, pod: str) -> tuple[str, ...]:
    """The pod's IPv4 and IPv6 address; the shared pods keep theirs."""
    namespace, _, name = pod.rpartition("/")
    found = [each["ip"] for each in mesh.pod(name, namespace or "default")["status"]["podIPs"]]
    return tuple(sorted(found, key=lambda address: ":" in address))


def address_of(mesh: Mesh, pod: str) -> str:
    return addresses_of(mesh, pod)[0]


@functools.cache
def namespace_of(mesh: Mesh, pod: str) -> str:
    """The network namespace that has the pod's address."""
    address = address_of(mesh, pod)
    for each in sorted(Path("/run/netns").glob(f"{instance(mesh)}-p-*")):
        command = ["ip", "-n", each.name, "-o", "address"]
        if f" {address}/" in subprocess.run(command, capture_output=True, text=True, check=True).stdout:
            return each.name
    raise AssertionError(f"no network namespace has {address}")


@functools.cache
def instance(mesh: Mesh) -> str:
    """`ss` and the instance's id, with which its names begin."""
    return f"ss{mesh.status()['instance']}"


def controller(mesh: Mesh, port: int) -> str:
    command = Path(f"/proc/{mesh.pid('controller')}/cmdline").read_text().split("\0")
    address = next(each.removeprefix("--address=") for each in command if each.startswith("--address="))
    return f"{address}:{port}"


def join_as(mesh: Mesh, node: str, token_of: str | None = None) -> NodeCredentials:
    token = (mesh.state_dir / "join-tokens" / (token_of or node)).read_text()
    roots = mesh.state_dir / "controller" / "root-cert.pem"
    return asyncio.run(join(controller(mesh, 15013), roots, token, node, TRUST_DOMAIN))


def workload_certificate(mesh: Mesh, node: str, account: str) -> WorkloadCertificate:
    """A certificate as the agent of that node would get it."""
    credentials = join_as(mesh, node)
    identity = SpiffeId.workload(TRUST_DOMAIN, "default", account)
    made = new_key_and_csr(identity)

    async def sign() -> Iterable[str]:
        client = CertificateClient(lambda: credentials.open_channel(controller(mesh, 15012)))
        try:
            return await client.sign(identity, made.csr_pem)
        finally:
            await client.close()

    issued = tuple(asyncio.run(sign()))
    return WorkloadCertificate.from_issued(identity, issued, made.private_key_pem, now=dt.datetime.now(dt.UTC))


def signed_by(authority: Authority, identity: SpiffeId) -> WorkloadCertificate:
    made = new_key_and_csr(identity)
    issued = authority.sign(made.csr_pem, identity, dt.timedelta(hours=1))
    return WorkloadCertificate.from_issued(identity, issued, made.private_key_pem, now=dt.datetime.now(dt.UTC))


@pytest.fixture(scope="module")
def certificate(mesh: Mesh) -> WorkloadCertificate:
    return workload_certificate(mesh, "node-1", "client")


Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def ask(mesh: Mesh, certificate: WorkloadCertificate) -> Ask:
    """A request to a pod's port 15008, from a pod whose traffic nobody captures."""
    stranger = namespace_of(mesh, "outside/stranger")
    genuine = hbone.tls(certificate)

    def send(headers: dict[str, str], *, to: str = "", context: ssl.SSLContext | None = None) -> Answer:
        target = (to or address_of(mesh, "server"), 15008)
        return hbone.request(stranger, target, context or genuine, headers, HTTP)

    return send


# --- the tunnel's port ---------------------------------------------------------------------------------------------


def test_the_tunnel_takes_workloads_of_this_mesh_over_tls_1_3_only(
    mesh: Mesh, ask: Ask, certificate: WorkloadCertificate, tmp_path: Path
) -> None:
    request = connect(f"{mesh.address('server')}:8080")
    identity = certificate.identity
    foreign = Authority.load_or_create(tmp_path / "foreign", TRUST_DOMAIN)
    # The mesh's own authority signs for other trust domains in no way that a caller could reach.
    folder = mesh.state_dir / "controller" / "ca"
    other = signed_by(Authority.load(folder, "other.domain"), SpiffeId.workload("other.domain", "default", "client"))
    refused = {
        "TLS 1.2": hbone.tls(certificate, newest=ssl.TLSVersion.TLSv1_2),
        "no certificate": hbone.tls(None),
        "a foreign authority": hbone.tls(signed_by(foreign, identity)),
        "another trust domain": hbone.tls(other),
        "a node": hbone.tls(join_as(mesh, "node-1").certificate),
    }
    answers = {what: ask(request, context=context) for what, context in refused.items()}
    assert all(answer.status == 0 and answer.error for answer in answers.values()), answers
    assert "PROTOCOL_VERSION" in answers["TLS 1.2"].error
    assert ask(request).status == 200


def test_connect_reaches_the_pod_itself_and_nothing_else(mesh: Mesh, ask: Ask) -> None:
    address, six = addresses_of(mesh, "server")
    stranger = address_of(mesh, "outside/stranger")
    answer = ask(connect(f"{address}:8080"))
    assert (answer.status, answer.error) == (200, "")
    assert f"server saw {stranger} /through".encode() in answer.body
    assert ask(connect(f"[{six}]:8080"), to=six).status == 200

    elsewhere = [
        address_of(mesh, "client"),
        address_of(mesh, "near"),
        "127.0.0.1",
        "[::1]",
        "server.default.svc.cluster.local",
    ]
    odd = [f"{address}:08080", f"{address}:+8080", f"[{six.upper()}]:8080", address, f"{address}:", f"{address}:1:2"]
    own_ports = [f"{address}:{port}" for port in (15001, 15006, 15008, "015006")]
    authorities = [*(f"{each}:8080" for each in elsewhere), *odd, *own_ports]
    assert {each: ask(connect(each)).status for each in authorities} == dict.fromkeys(authorities, 400)
    # Nothing of the mesh listens there, in the pod or anywhere that the pod could reach.
    assert {ask(connect(f"{address}:{port}")).status for port in (15000, 15020, 15053)} == {503}


def test_only_connect(mesh: Mesh, ask: Ask) -> None:
    authority = f"{mesh.address('server')}:8080"
    for method in ("GET", "POST", "OPTIONS"):
        assert ask({":method": method, ":scheme": "https", ":path": "/", ":authority": authority}).status == 400
    extended = {":method": "CONNECT", ":scheme": "https", ":path": "/", ":authority": authority}
    for protocol in ("websocket", "connect-udp"):
        assert ask({**extended, ":protocol": protocol}).status not in {101, 200}


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-envoy-original-dst-host"])
def test_no_header_changes_who_the_application_sees(mesh: Mesh, ask: Ask, header: str) -> None:
    stranger = address_of(mesh, "outside/stranger")
    answer = ask(connect(f"{mesh.address('server')}:8080", **{header: address_of(mesh, "client")}))
    assert f"server saw {stranger} ".encode() in answer.body


def test_policy_is_enforced_in_the_tunnel(mesh: Mesh, ask: Ask) -> None:
    address = address_of(mesh, "server")
    with applied(mesh, PEER_AUTHENTICATION):
        eventually(lambda: not plain_is_admitted(mesh), what="STRICT")
        assert ask(connect(f"{address}:8080")).status == 200
    with applied(mesh, DENY_WEB):
        eventually(lambda: ask(connect(f"{address}:8080")).status == 401, what="DENY")
        # no other spelling gets around it
        assert {ask(connect(f"{address}:{port}")).status for port in ("08080", "+8080", "008080")} <= {400, 401}
        assert ask(connect(f"{address}:9000")).status == 200
    eventually(lambda: ask(connect(f"{address}:8080")).status == 200, what="allowed again")


def plain_is_admitted(mesh: Mesh, seconds: int = 3) -> bool:
    url = f"http://{mesh.address('server')}:8080/"
    return mesh.exec("outside/stranger", "curl", "-s", "-m", str(seconds), url, check=False).startswith("server saw")


# --- ports of the node proxy that are for redirected connections ---------------------------------------------------


def test_the_node_proxy_is_no_open_proxy_and_never_dials_itself(mesh: Mesh) -> None:
    """A connection that nobody redirected is its own original destination."""
    envoys = {node: mesh.pid_of_serving_envoy(node) for node in ("node-1", "node-2")}
    before = {node: descriptors(pid) for node, pid in envoys.items()}
    addresses = ["127.0.0.1", "::1", *addresses_of(mesh, "client")]
    own, others = namespace_of(mesh, "client"), namespace_of(mesh, "outside/stranger")
    neighbours = (*addresses_of(mesh, "near"), link_local(mesh, "near"), *addresses_of(mesh, "server"))
    attempts = [(own, each) for each in addresses] + [(others, each) for each in neighbours]
    got = {
        (where, address, port): hbone.inside(where, lambda: dialled(address, port))  # noqa: B023 - called at once
        for where, address in attempts
        for port in (15001, 15006)
    }
    assert set(got.values()) == {b""}, got
    time.sleep(0.5)
    after = {node: descriptors(pid) for node, pid in envoys.items()}
    assert all(after[node] < before[node] + 50 for node in envoys), (before, after)


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def link_local(mesh: Mesh, pod: str) -> str:
    """As a neighbour on the same bridge writes it."""
    text = subprocess.run(
        ["ip", "-n", namespace_of(mesh, pod), "-6", "-o", "address", "show", "scope", "link"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"inet6 (fe80[^/]+)/", text)
    assert found, text
    return f"{found[1]}%eth0"


def dialled(address: str, port: int) -> bytes:
    """What a plain HTTP request to that port is answered."""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            connection.sendall(HTTP)
            return connection.recv(100)
    except OSError:
        return b""


# --- the controller ------------------------------------------------------------------------------------------------


def test_the_controller_speaks_to_nodes_only(mesh: Mesh, certificate: WorkloadCertificate, tmp_path: Path) -> None:
    target = controller(mesh, 15012)
    node = join_as(mesh, "node-1").certificate
    foreign = signed_by(
        Authority.load_or_create(tmp_path / "foreign", TRUST_DOMAIN), SpiffeId.node(TRUST_DOMAIN, "node-1")
    )
    outcomes = {
        name: asyncio.run(mesh_of(target, shown, node.roots_pem))
        for name, shown in {"node": node, "workload": certificate, "foreign": foreign, "none": None}.items()
    }
    assert outcomes["node"] == "resources"
    assert outcomes["workload"] in {"PERMISSION_DENIED", "UNAUTHENTICATED"}
    assert {outcomes["foreign"], outcomes["none"]} == {"UNAVAILABLE"}
    # and nothing but TLS 1.3 on either port
    for address in (target, controller(mesh, 15013)):
        context = hbone.tls(node, newest=ssl.TLSVersion.TLSv1_2)
        with pytest.raises(ssl.SSLError):
            handshake(address, context)


def handshake(target: str, context: ssl.SSLContext) -> None:
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw, context.wrap_socket(raw):
        pass


async def mesh_of(target: str, shown: WorkloadCertificate | None, roots: str) -> str:
    """What a client with that certificate gets: `resources`, or the code of the refusal."""
    credentials = grpc.ssl_channel_credentials(
        roots.encode(),
        private_key=shown.private_key_pem.encode() if shown else None,
        certificate_chain=shown.chain_pem.encode() if shown else None,
    )
    options = [("grpc.ssl_target_name_override", "sidestep-controller"), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
        call = channel.stream_stream(
            METHOD,
            request_serializer=pb.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=pb.DeltaDiscoveryResponse.FromString,
        )(timeout=10)
        try:
            await call.write(pb.DeltaDiscoveryRequest(node=pb.Node(id="node-1"), type_url=istio.ADDRESS))
            answer: Any = await call.read()
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        if answer is grpc.aio.EOF:
            return str((await call.code()).name)
        return "resources" if answer.resources else "nothing"


def test_a_node_speaks_for_its_own_workloads_only(mesh: Mesh) -> None:
    assert workload_certificate(mesh, "node-1", "client").identity.service_account == "client"
    with pytest.raises(SigningRefusedError, match="no workload on node-2"):
        workload_certificate(mesh, "node-2", "client")
    with pytest.raises(SigningRefusedError, match="no workload on node-1"):
        workload_certificate(mesh, "node-1", "nobody")
    with pytest.raises(JoinRefusedError):
        join_as(mesh, "node-2", token_of="node-1")


# --- at rest -------------------------------------------------------------------------------------------------------


def test_no_key_is_written_down(mesh: Mesh) -> None:
    authority = mesh.state_dir / "controller" / "ca" / "ca-key.pem"
    tokens = {file.read_bytes().strip(): file for file in (mesh.state_dir / "join-tokens").iterdir()}
    keys, told = [], []
    folders = (mesh.state_dir, Path("/dev/shm"))
    for file in (each for folder in folders for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
        content = file.read_bytes()
        if b"PRIVATE KEY" in content:
            keys.append(file)
        told += [file for token, own in tokens.items() if token in content and file != own]
    assert keys == [authority]
    assert not told
    for secret in (authority, *tokens.values()):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600, secret
    for folder in (authority.parent, *(mesh.state_dir / "nodes").iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for each in mesh.status()["processes"]:
        for name in ("cmdline", "environ"):
            content = Path(f"/proc/{each['pid']}/{name}").read_bytes()
            assert b"PRIVATE KEY" not in content
            assert not any(token in content for token in tokens), (each, name)


def test_envoys_admin_shows_no_key(mesh: Mesh) -> None:
    for node in ("node-1", "node-2"):
        (socket_path,) = (mesh.state_dir / "nodes" / node / "envoy").glob("admin*.sock")
        assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
        dump = subprocess.run(
            ["curl", "-s", "--unix-socket", str(socket_path), "http://localhost/config_dump?include_eds"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "spiffe://" in dump
        assert "PRIVATE KEY" not in dump
        assert base64.b64encode(b"[redacted]").decode() in dump


def test_processes_have_no_more_rights_than_they_need(mesh: Mesh) -> None:
    kept = {"envoy": 1 << 12 | 1 << 13 | 1 << 21, "dns": 1 << 10 | 1 << 12 | 1 << 21}
    for each in mesh.status()["processes"]:
        role, proc = each["role"], Path(f"/proc/{each['pid']}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        if role in kept:
            for field in ("CapPrm", "CapEff", "CapBnd"):
                assert int(status[field], 16) == kept[role], (role, field)
            assert status["CapAmb"].strip("0") == ""
            assert status["NoNewPrivs"] == "1"
        if role in {"envoy", "dns", "node", "controller"}:
            limits = (proc / "limits").read_text()
            assert re.search(r"Max core file size +0 +0 ", limits), (role, limits)
            assert int((proc / "coredump_filter").read_text(), 16) == 0, role


def test_nothing_unexpected_listens(mesh: Mesh) -> None:
    own = instance(mesh)
    proxy = {("tcp", 15001), ("tcp", 15006), ("tcp", 15008)}
    for pod, more in (("client", set()), ("server", {("tcp", 8080), ("tcp", 9000)}), ("outside/stranger", set())):
        expected = more if pod.startswith("outside/") else proxy | more
        assert listening(namespace_of(mesh, pod)) == expected, pod
    for node in ("node-1", "node-2"):
        assert listening(f"{own}-{node}") == {("udp", 53), ("tcp", 53), ("tcp", 15020)}, node
    assert listening("", mesh.pid("controller")) == {("tcp", 15012), ("tcp", 15013)}


def listening(namespace: str, pid: int = 0) -> set[tuple[str, int]]:
    """What listens on other addresses than loopback's, in a namespace or of a process."""
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    text = subprocess.run([*prefix, "ss", "-Hltunp"], capture_output=True, text=True, check=True).stdout
    found = set()
    for line in text.splitlines():
        protocol, address = line.split()[0], line.split()[4]
        host, _, port = address.rpartition(":")
        if host not in {"127.0.0.1", "[::1]"} and (not pid or f"pid={pid}," in line):
            found.add((protocol, int(port)))
    return found


def test_metrics_and_access_logs_hold_no_secrets(mesh: Mesh) -> None:
    url = f"http://{node_address(mesh)}:15020/"
    text = mesh.exec("outside/stranger", "curl", "-s", f"{url}metrics")
    assert "sidestep_node_ready 1.0" in text
    assert "PRIVATE" not in text
    assert "BEGIN" not in text
    for path in ("config_dump", "quitquitquit", "debug/pprof", "status", ""):
        status = mesh.exec("outside/stranger", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url + path)
        assert status.strip() in {"404", "200"}
        assert status.strip() == "404" or path == "", path


def node_address(mesh: Mesh) -> str:
    return str(next(each["address"] for each in mesh.status()["nodes"] if each["name"] == "node-1"))


# --- never in plain text -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def hammering(mesh: Mesh, text: str, addresses: Iterable[str]) -> Iterator[None]:
    """The client sends `text` to all addresses, again and again, whatever comes of it."""
    urls = " ".join(f"http://{each}:8080/{text}" for each in addresses)
    script = f"while sleep 0.02; do curl -s -m 1 -o /dev/null {urls}; done"
    process = mesh.start("client", "bash", "-c", script)
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_nothing_leaves_in_plain_text_whatever_dies(mesh: Mesh) -> None:
    """`server` would take plain text: nothing but the client's own node keeps it from being sent."""
    text = "the-secret-of-the-request"
    addresses = ["server", *map(bracketed, addresses_of(mesh, "server"))]
    unknown = address_of(mesh, "server").rpartition(".")[0] + ".250"
    entry = ENTRY.replace("ADDRESS", address_of(mesh, "server"))
    with Capture(f"{instance(mesh)}n1", text.encode()) as capture:
        with hammering(mesh, text, [*addresses, unknown]):
            for role in ("envoy", "node", "dns", "controller"):
                victim = next(each for each in mesh.status()["processes"] if on_node_1(each, role))
                os.kill(victim["pid"], signal.SIGKILL)
                time.sleep(1.5)
            with applied(mesh, entry):
                time.sleep(1.5)
            forgetful_restart(mesh)
            leave_and_join(mesh)
        eventually(lambda: answers(mesh), seconds=40, what="everything works again")
    evidence = capture.evidence()
    assert evidence.tunnel_packets > 20
    assert evidence.dropped == 0
    assert evidence.found == 0, evidence.excerpt
    with Capture(f"{instance(mesh)}n1", text.encode()) as capture:
        mesh.exec("outside/stranger", "curl", "-s", f"http://{address_of(mesh, 'server')}:8080/{text}")
    assert capture.evidence().found > 0, "the capture would not have seen it"


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def on_node_1(process: dict[str, Any], role: str) -> bool:
    return process["role"] == role and (role == "controller" or process.get("node") == "node-1")


def answers(mesh: Mesh) -> bool:
    return mesh.exec("client", "curl", "-s", "-m", "2", "http://server:8080/", check=False).startswith("server saw")


def leave_and_join(mesh: Mesh) -> None:
    """Another pod of the client's node leaves the mesh and joins it."""
    for mode in ("none", "ambient"):
        pod = mesh.pod("near")
        pod["metadata"]["labels"]["istio.io/dataplane-mode"] = mode
        mesh.apply(json.dumps(pod))
        time.sleep(1)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def forgetful_restart(mesh: Mesh, check: Callable[[], None] = lambda: None) -> None:
    """node-1's agent starts without what it knew of the mesh, and without a controller to ask."""
    with stopped(mesh.pid("controller")):
        (mesh.state_dir / "nodes" / "node-1" / "mesh.msgpack").unlink()
        old = mesh.pid("node", "node-1")
        os.kill(old, signal.SIGKILL)
        eventually(lambda: restarted(mesh, old), what="another agent")
        time.sleep(1)
        check()


def restarted(mesh: Mesh, old: int) -> bool:
    found = [each["pid"] for each in mesh.status()["processes"] if on_node_1(each, "node")]
    return bool(found) and found != [old] and (mesh.state_dir / "nodes" / "node-1" / "agent.sock").exists()


def test_an_agent_that_knows_nothing_opens_nothing(mesh: Mesh) -> None:
    """Policies that it has not heard of are not policies that do not exist."""
    near = f"http://{mesh.address('near')}:8080/"

    def admitted() -> bool:
        return mesh.exec("outside/stranger", "curl", "-s", "-m", "2", near, check=False).startswith("near saw")

    def closed() -> None:
        for _ in range(5):
            assert not admitted()
            time.sleep(0.3)

    with applied(mesh, PEER_AUTHENTICATION):
        eventually(lambda: not admitted(), what="STRICT")
        forgetful_restart(mesh, closed)
        assert not admitted()
        eventually(lambda: answers(mesh), what="the mesh works")
    eventually(admitted, what="PERMISSIVE again")
