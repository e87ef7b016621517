"""The controller as a process, on loopback: joined, followed, changed, killed and started again. Needs no root."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx
import pytest

from sidestep.identity.certificate import new_key_and_csr
from sidestep.identity.client import CertificateClient
from sidestep.identity.errors import SigningRefusedError
from sidestep.identity.join import NodeCredentials, join
from sidestep.identity.spiffe import SpiffeId
from sidestep.mesh.model import Service, Workload
from sidestep.mesh.wds import decode_address
from sidestep.wire import envoy as pb
from sidestep.wire import istio
from sidestep.xds.client import WILDCARD, DeltaClient, InvalidResource
from sidestep.xds.resource import Resource

TOKEN = "a-token-of-decent-length-012345"

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec:
  hosts: [api.example.com]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{address: 192.0.2.7}]
"""


def pod(name: str, address: str, *, node: str = "node-1", account: str = "web") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: shop
  uid: uid-of-{name}
  labels: {{app: web}}
spec:
  nodeName: {node}
  serviceAccountName: {account}
  containers: [{{name: main, image: none}}]
status:
  phase: Running
  podIP: {address}
  podIPs: [{{ip: {address}}}]
  conditions: [{{type: Ready, status: "True"}}]
"""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


class ControllerProcess:
    """`python -m sidestep controller` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resources = folder / "resources"
        self.state = folder / "state"
        self.root = self.state / "controller/root-cert.pem"
        self.port, self.join_port, self.metrics_port = _free_ports(3)
        self.arguments: tuple[str, ...] = ()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> float:
        """Start it and wait until it is ready; gives the seconds that took."""
        begin = time.monotonic()
        await self.launch()
        async with asyncio.timeout(60):
            while await self.page("/healthz/ready") != "ok\n":
                assert self._process is not None
                assert self._process.returncode is None, (self.folder / "log").read_text()
                await asyncio.sleep(0.02)
        return time.monotonic() - begin

    async def launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sidestep", "controller"),
                *(f"--resources={self.resources}", f"--state-dir={self.state}"),
                *(f"--join-tokens={self.folder / 'tokens'}", "--address=127.0.0.1", f"--port={self.port}"),
                *(f"--join-port={self.join_port}", f"--metrics-port={self.metrics_port}"),
                *self.arguments,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    async def page(self, path: str) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(f"http://127.0.0.1:{self.metrics_port}{path}")).text
            except httpx.TransportError:
                return ""

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self._process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        async with asyncio.timeout(10):
            return await self._process.wait()

    async def join(self) -> NodeCredentials:
        return await join(f"127.0.0.1:{self.join_port}", self.root, TOKEN, "node-1", "cluster.local")


class Follower:
    """What a node sees of the mesh."""

    def __init__(self) -> None:
        self.addresses: dict[str, Workload | Service] = {}
        self.policies: set[str] = set()
        self.deliveries = 0
        self.refuse = ""

    async def on_update(self, type_url: str, added: Sequence[Resource], removed: Sequence[str], first: bool) -> None:
        self.deliveries += len(added)
        for resource in added:
            if resource.name == self.refuse:
                raise InvalidResource(resource.name, "not to my taste")
            if type_url == istio.ADDRESS:
                self.addresses[resource.name] = decode_address(resource.body)
            else:
                self.policies.add(resource.name)
        for name in removed:
            self.addresses.pop(name, None)

    def names(self) -> set[str]:
        return {each.name for each in self.addresses.values() if isinstance(each, Workload)}


async def _until(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def following(controller: ControllerProcess, credentials: NodeCredentials) -> AsyncIterator[Follower]:
    follower = Follower()
    client = DeltaClient(
        lambda: credentials.open_channel(controller.address),
        pb.Node(id="node-1"),
        {istio.ADDRESS: WILDCARD, istio.AUTHORIZATION: WILDCARD},
        follower,
    )
    task = asyncio.create_task(client.run())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[ControllerProcess]:
    process = ControllerProcess(tmp_path)
    process.resources.mkdir()
    (process.resources / "base.yaml").write_text(NAMESPACE)
    (process.resources / "web.yaml").write_text(pod("web-1", "10.244.0.5"))
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens/node-1").write_text(TOKEN)
    (tmp_path / "tokens/node-1").chmod(0o600)
    yield process
    await process.end(signal.SIGKILL)


async def test_join_follow_change_and_end(controller: ControllerProcess) -> None:
    await controller.start()
    credentials = await controller.join()
    async with following(controller, credentials) as node:
        await _until(lambda: node.names() == {"web-1"} and len(node.addresses) == 2)
        (controller.resources / "more.yaml").write_text(pod("web-2", "10.244.0.6", account="other"))
        begin = time.monotonic()
        await _until(lambda: node.names() == {"web-1", "web-2"})
        assert time.monotonic() - begin < 4.5, "faster than the slow poll"
        (controller.resources / "web.yaml").unlink()
        await _until(lambda: node.names() == {"web-2"})

        client = CertificateClient(lambda: credentials.open_channel(controller.address))
        other = SpiffeId.workload("cluster.local", "shop", "other")
        assert len(await client.sign(other, new_key_and_csr(other).csr_pem)) == 2
        gone = SpiffeId.workload("cluster.local", "shop", "web")
        with pytest.raises(SigningRefusedError, match="no workload on node-1"):
            await client.sign(gone, new_key_and_csr(gone).csr_pem)
        await client.close()
        assert "pilot_xds 1.0" in await controller.page("/metrics")
    assert await controller.end() == 0, (controller.folder / "log").read_text()


async def test_kill_keeps_root_and_addresses_and_resumes(controller: ControllerProcess) -> None:
    (controller.resources / "entry.yaml").write_text(ENTRY)
    await controller.start()
    root = controller.root.read_bytes()
    credentials = await controller.join()
    async with following(controller, credentials) as node:
        await _until(lambda: len(node.addresses) >= 4)
        allocations = (controller.state / "controller/allocations.json").read_bytes()
        before, deliveries = dict(node.addresses), node.deliveries
        await controller.end(signal.SIGKILL)
        await controller.start()
        (controller.resources / "more.yaml").write_text(pod("web-2", "10.244.0.6"))
        await _until(lambda: "web-2" in node.names())
        assert node.deliveries == deliveries + 1, "only the new pod is sent"
        assert {name: each for name, each in node.addresses.items() if name in before} == before
    assert controller.root.read_bytes() == root
    assert (controller.state / "controller/allocations.json").read_bytes() == allocations
    assert b"240.240." in allocations


async def test_bad_resources_and_rejections_show_in_the_status(controller: ControllerProcess) -> None:
    await controller.start()
    credentials = await controller.join()
    async with following(controller, credentials) as node:
        await _until(lambda: len(node.addresses) == 2)
        bad = pod("web-1", "10.244.0.5").replace("nodeName: node-1", "nodeName: [1]")
        (controller.resources / "web.yaml").write_text(bad)
        status = controller.state / "controller/status.json"
        await _until(lambda: json.loads(status.read_bytes())["problems"])
        (problem,) = json.loads(status.read_bytes())["problems"]
        assert problem["file"].endswith("web.yaml")
        assert "nodeName" in problem["field"] + problem["message"]
        assert node.names() == {"web-1"}, "the last good version stays in force"

        node.refuse = "Kubernetes//Pod/shop/web-2"
        (controller.resources / "more.yaml").write_text(pod("web-2", "10.244.0.6"))
        await _until(lambda: json.loads(status.read_bytes())["rejections"])
        (rejection,) = json.loads(status.read_bytes())["rejections"]
        assert (rejection["node"], rejection["resource"]) == ("node-1", node.refuse)
        assert "not to my taste" in rejection["message"]
        assert json.loads(await controller.page("/status"))["rejections"] == [rejection]


def _handshake(port: int, version: ssl.TLSVersion, roots: Path) -> str | None:
    context = ssl.create_default_context(cafile=str(roots))
    context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="sidestep-controller", do_handshake_on_connect=False) as encrypted,
    ):
        encrypted.do_handshake()
        return encrypted.version()


async def test_tls_1_3_only(controller: ControllerProcess) -> None:
    await controller.start()
    for port in (controller.port, controller.join_port):
        assert await asyncio.to_thread(_handshake, port, ssl.TLSVersion.TLSv1_3, controller.root) == "TLSv1.3"
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(_handshake, port, ssl.TLSVersion.TLSv1_2, controller.root)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--certificate-lifetime=1fortnight"], 64, "--certificate-lifetime: invalid duration"),
        (["--trust-domain=Not A Domain"], 64, "--trust-domain: invalid trust domain"),
        (["--ca-folder=/nonexistent"], 65, "lacks ca-cert.pem, ca-key.pem, root-cert.pem"),
    ],
)
async def test_bad_options_are_one_sentence(
    controller: ControllerProcess, arguments: list[str], code: int, message: str
) -> None:
    controller.arguments = tuple(arguments)
    await controller.launch()
    assert controller._process is not None
    async with asyncio.timeout(60):
        assert await controller._process.wait() == code
    log = (controller.folder / "log").read_text()
    assert message in log
    assert "Traceback" not in log


async def test_a_second_controller_on_the_port_is_refused(controller: ControllerProcess, tmp_path: Path) -> None:
    await controller.start()
    second = ControllerProcess(tmp_path / "second")
    second.resources.mkdir(parents=True)
    second.port = controller.port
    await second.launch()
    assert second._process is not None
    async with asyncio.timeout(60):
        assert await second._process.wait() == 69
    log = (second.folder / "log").read_text()
    assert f"cannot listen on port {controller.port}" in log
    assert "Traceback" not in log
