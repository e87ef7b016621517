"""The server against a real Envoy, which needs no root for this: what Envoy asks, what it makes of the answers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidestep.envoy.binary import find_binary
from sidestep.envoy.bootstrap import BootstrapOptions, bootstrap
from sidestep.envoy.config import ads_config_source, duration, pipe, typed
from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache
from sidestep.xds.peer import Ack, Answer, Nack, Pending
from sidestep.xds.resource import Resource
from sidestep.xds.server import DeltaServer

ORDER = (pb.CLUSTER, pb.CLUSTER_LOAD_ASSIGNMENT, pb.SECRET, pb.EXTENSION_CONFIG, pb.LISTENER)
ON_DEMAND = "outbound|10.1.2.3:80"


class Agent:
    """What stands behind an Envoy: a cache, a server, an on-demand source. Can be restarted on its socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._grpc: grpc.aio.Server | None = None
        self.answers: dict[str, Resource | Answer] = {}
        self._reset()

    def _reset(self) -> None:
        self.cache = Cache()
        self.asked: list[str] = []
        self.given_up: list[str] = []
        self.nacks: list[Nack] = []
        self.acked: list[str] = []
        self.gone: list[str] = []

    async def resolve(self, type_url: str, name: str, node_id: str) -> Resource | Answer:
        self.asked.append(name)
        answer = self.answers.get(name, Pending)
        return answer if not isinstance(answer, Resource) or answer.type_url == type_url else Pending

    def released(self, type_url: str, name: str) -> None:
        self.given_up.append(name)

    async def start(self, *, companions: bool = True) -> None:
        server = DeltaServer(
            self.cache,
            on_demand=self,
            order=ORDER,
            companions={pb.CLUSTER: pb.CLUSTER_LOAD_ASSIGNMENT} if companions else {},
            on_nack=self.nacks.append,
            on_ack=self._on_ack,
        )
        self._grpc = grpc.aio.server()
        self._grpc.add_generic_rpc_handlers(server.handlers())
        self._grpc.add_insecure_port(f"unix:{self.folder / 'x.sock'}")
        await self._grpc.start()

    def _on_ack(self, ack: Ack) -> None:
        self.acked.extend(ack.versions)
        self.gone.extend(ack.removed)

    async def stop(self) -> None:
        if self._grpc is not None:
            await self._grpc.stop(0)
            self._grpc = None

    async def restart(self, fill: Callable[[Cache], None]) -> None:
        await self.stop()
        self._reset()
        fill(self.cache)
        await self.start()

    # --- what Envoy thinks ---------------------------------------------------------------------------------------

    async def admin(self, path: str) -> Any:
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder / "a.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://envoy") as client:
            response = await client.get(path)
            return response.json() if response.headers["content-type"] == "application/json" else response.text

    async def clusters(self) -> set[str]:
        found = (await self.admin("/clusters?format=json")).get("cluster_statuses", [])
        return {each["name"] for each in found}

    async def is_live(self) -> bool:
        """Whether Envoy has what it needs and serves."""
        return bool((await self.admin("/ready")).strip() == "LIVE")

    async def stat(self, name: str) -> int:
        text = await self.admin(f"/stats?filter=^{name}$")
        return int(text.rpartition(":")[2] or 0) if text else 0


async def until(condition: Callable[[], Any], seconds: float = 8) -> None:
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(httpx.TransportError):
                result = condition()
                if await result if asyncio.iscoroutine(result) else result:
                    return
            await asyncio.sleep(0.02)


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders are too deep for a socket's path.
    path = Path(tempfile.mkdtemp(prefix="xds-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def agent(folder: Path) -> AsyncIterator[Agent]:
    agent = Agent(folder)
    options = BootstrapOptions(
        node_id="n1", node_cluster="test", xds_socket=folder / "x.sock", admin_socket=folder / "a.sock"
    )
    (folder / "bootstrap.pb").write_bytes(bootstrap(options).SerializeToString())
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(find_binary()), "-c", str(folder / "bootstrap.pb"), "--disable-hot-restart", "--concurrency", "1",
            "-l", "warning", "--component-log-level", "config:debug,upstream:debug", stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield agent
    finally:
        process.kill()
        await process.wait()
        await agent.stop()


def cluster(name: str, *, seconds: float = 1) -> Resource:
    made = pb.Cluster(name=name, type=pb.Cluster.EDS, connect_timeout=duration(seconds))
    made.eds_cluster_config.eds_config.CopyFrom(ads_config_source())
    return Resource.of(name, made, named_only=name == ON_DEMAND)


def assignment(name: str, path: str) -> Resource:
    endpoint = pb.LbEndpoint(endpoint=pb.Endpoint(address=pipe(Path(path))))
    made = pb.ClusterLoadAssignment(cluster_name=name, endpoints=[pb.LocalityLbEndpoints(lb_endpoints=[endpoint])])
    return Resource.of(name, made)


def listener(folder: Path, *, target: str = ON_DEMAND, name: str = "in") -> Resource:
    proxy = pb.TcpProxy(
        stat_prefix="t",
        cluster=target,
        on_demand=pb.TcpProxy.OnDemand(odcds_config=ads_config_source(), timeout=duration(5)),
    )
    chain = pb.FilterChain(filters=[pb.Filter(name="t", typed_config=pb.any_of(proxy))])
    return Resource.of(name, pb.Listener(name=name, address=pipe(folder / f"{name}.sock"), filter_chains=[chain]))


@pytest.fixture
async def app(folder: Path) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"echo " + await reader.read(100))
        writer.close()

    server = await asyncio.start_unix_server(answer, folder / "app.sock")
    yield str(folder / "app.sock")
    server.close()


async def use(folder: Path, listener: str = "in") -> bytes:
    """What a connection through Envoy gives; nothing when it is cut."""
    reader, writer = await asyncio.open_unix_connection(folder / f"{listener}.sock")
    try:
        writer.write(b"hello")
        return await reader.read(100)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def use_gives(folder: Path, expected: bytes) -> bool:
    return await use(folder) == expected


def filled(folder: Path, app: str, *, on_demand: bool = True, seconds: float = 1) -> Callable[[Cache], None]:
    """All that an agent knows after a while: one cluster of its own, one that was asked for, a listener."""
    names = ["base", ON_DEMAND] if on_demand else ["base"]

    def fill(cache: Cache) -> None:
        cache.update(pb.CLUSTER_LOAD_ASSIGNMENT, [assignment(name, app) for name in names])
        cache.update(pb.CLUSTER, [cluster(name, seconds=seconds) for name in names])
        cache.update(pb.LISTENER, [listener(folder)])
        cache.mark_complete(pb.CLUSTER)
        cache.mark_complete(pb.LISTENER)

    return fill


async def test_on_demand_cluster(agent: Agent, folder: Path, app: str) -> None:
    filled(folder, app, on_demand=False)(agent.cache)
    await agent.start()
    await until(agent.is_live)
    first = asyncio.ensure_future(use(folder))
    await until(lambda: agent.asked == [ON_DEMAND])
    assert await agent.clusters() == {"xds", "base"}
    agent.cache.update(pb.CLUSTER_LOAD_ASSIGNMENT, [assignment(ON_DEMAND, app)])
    agent.cache.update(pb.CLUSTER, [cluster(ON_DEMAND)])
    assert await first == b"echo hello"
    assert await use(folder) == b"echo hello"
    # A changed cluster gets its endpoints again; without them it would keep the old one, and hold up all discovery.
    agent.cache.update(pb.CLUSTER, [cluster(ON_DEMAND, seconds=2)])
    await until(lambda: agent.acked.count(ON_DEMAND) == 4)
    assert await agent.stat("cluster_manager.warming_clusters") == 0
    assert agent.nacks == []


async def test_removed_on_demand_cluster_comes_back_by_itself(agent: Agent, folder: Path, app: str) -> None:
    filled(folder, app)(agent.cache)
    await agent.start()
    await until(agent.is_live)
    assert await use(folder) == b"echo hello"
    agent.cache.update(pb.CLUSTER, [], [ON_DEMAND])
    await until(lambda: agent.gone == [ON_DEMAND])
    assert ON_DEMAND not in await agent.clusters()
    # Envoy does not ask for this name again: it believes to follow it still.
    waiting = asyncio.ensure_future(use(folder))
    await asyncio.sleep(0.2)
    assert agent.asked == []
    agent.cache.update(pb.CLUSTER, [cluster(ON_DEMAND)])
    assert await waiting == b"echo hello"


async def test_cluster_without_endpoints_is_the_better_denial(agent: Agent, folder: Path, app: str) -> None:
    """A removed name makes Envoy's first connection fail at once, and each later one wait for its time-out."""
    filled(folder, app, on_demand=False)(agent.cache)
    agent.answers[ON_DEMAND] = Resource.of(ON_DEMAND, pb.Cluster(name=ON_DEMAND, type=pb.Cluster.STATIC))
    await agent.start()
    await until(agent.is_live)
    async with asyncio.timeout(2):
        assert [await use(folder) for _ in range(3)] == [b"", b"", b""]
    agent.cache.update(pb.CLUSTER_LOAD_ASSIGNMENT, [assignment(ON_DEMAND, app)])
    agent.cache.update(pb.CLUSTER, [cluster(ON_DEMAND)])
    await until(lambda: use_gives(folder, b"echo hello"))
    assert agent.asked == [ON_DEMAND]


async def test_cluster_that_waits_for_endpoints_holds_up_discovery(agent: Agent, folder: Path, app: str) -> None:
    filled(folder, app, on_demand=False)(agent.cache)
    agent.answers[ON_DEMAND] = cluster(ON_DEMAND)
    await agent.start()
    await until(agent.is_live)
    agent.cache.update(pb.CLUSTER, [cluster("waits")])
    await until(lambda: agent.asked == ["waits"])
    connection = asyncio.ensure_future(use(folder))
    await asyncio.sleep(0.3)
    assert agent.asked == ["waits"]
    agent.cache.update(pb.CLUSTER_LOAD_ASSIGNMENT, [assignment("waits", app), assignment(ON_DEMAND, app)])
    assert await connection == b"echo hello"
    assert agent.asked == ["waits", ON_DEMAND]


async def test_restarted_agent(agent: Agent, folder: Path, app: str) -> None:
    filled(folder, app)(agent.cache)
    await agent.start()
    await until(agent.is_live)
    assert await use(folder) == b"echo hello"
    await until(lambda: len(agent.acked) == 5)
    # The new agent knows nothing yet: it takes nothing away, and asks for what Envoy follows by name.
    await agent.restart(lambda _: None)
    await until(lambda: sorted(agent.asked) == ["base", ON_DEMAND, ON_DEMAND])
    assert await agent.clusters() == {"xds", "base", ON_DEMAND}
    assert await use(folder) == b"echo hello"
    # It learns what is true already: nothing is sent.
    filled(folder, app)(agent.cache)
    await asyncio.sleep(0.2)
    assert (agent.acked, agent.gone, agent.nacks) == ([], [], [])
    # And what has changed is.
    agent.cache.update(pb.CLUSTER, [cluster(ON_DEMAND, seconds=3)])
    await until(lambda: agent.acked == [ON_DEMAND, ON_DEMAND])
    assert await use(folder) == b"echo hello"


async def test_restarted_agent_takes_away_what_is_gone(agent: Agent, folder: Path, app: str) -> None:
    filled(folder, app)(agent.cache)
    agent.cache.update(pb.LISTENER, [listener(folder, name="old")])
    await agent.start()
    await until(agent.is_live)
    await agent.restart(filled(folder, app))
    await until(lambda: agent.gone == ["old"])
    assert await use(folder) == b"echo hello"


async def test_refused_listener(agent: Agent, folder: Path, app: str) -> None:
    filled(folder, app)(agent.cache)
    agent.cache.update(pb.LISTENER, [Resource.of("bad", pb.Listener(name="bad"))])
    await agent.start()
    await until(lambda: agent.nacks)
    assert agent.nacks[0].versions.keys() == {"bad"}
    assert "address is necessary" in agent.nacks[0].message
    await until(agent.is_live)
    assert await use(folder) == b"echo hello"
    agent.cache.update(pb.LISTENER, [listener(folder, name="bad")])
    await until(lambda: "bad" in agent.acked)
    assert await use(folder, "bad") == b"echo hello"


async def test_extension_configuration(agent: Agent, folder: Path, app: str) -> None:
    """A policy by name, changed without a new listener."""
    filled(folder, app)(agent.cache)
    made = pb.Listener.FromString(listener(folder).body)
    source = pb.ExtensionConfigSource(
        config_source=ads_config_source(), type_urls=[pb.any_of(pb.NetworkRbacFilter()).type_url]
    )
    made.filter_chains[0].filters.insert(0, pb.Filter(name="policy", config_discovery=source))
    agent.cache.update(pb.LISTENER, [Resource.of("in", made)])
    await agent.start()
    await until(lambda: agent.asked == ["policy"])
    assert not await agent.is_live()
    agent.cache.update(pb.EXTENSION_CONFIG, [policy(denies_all=True)])
    await until(agent.is_live)
    assert await use(folder) == b""
    agent.cache.update(pb.EXTENSION_CONFIG, [policy(denies_all=False)])
    await until(lambda: agent.acked.count("policy") == 2)
    await until(lambda: use_gives(folder, b"echo hello"))
    assert agent.acked.count("in") == 1
    # A changed listener uses the policy that is there: it need not be sent again.
    made.per_connection_buffer_limit_bytes.value = 65_536
    agent.cache.update(pb.LISTENER, [Resource.of("in", made)])
    await until(lambda: agent.acked.count("in") == 2)
    assert await agent.stat("listener_manager.total_listeners_warming") == 0
    assert agent.acked.count("policy") == 2


def policy(*, denies_all: bool) -> Resource:
    """Without rules: nobody is allowed, or nobody is denied."""
    rules = pb.NetworkRbacFilter(stat_prefix="p", rules=pb.RBAC(action=pb.RBAC.ALLOW if denies_all else pb.RBAC.DENY))
    return Resource.of("policy", typed("policy", rules))


async def test_pending_secret(agent: Agent, folder: Path, app: str) -> None:
    """A listener waits for the certificate that is being signed."""
    filled(folder, app)(agent.cache)
    name = "spiffe://cluster.local/ns/default/sa/a"
    context = pb.DownstreamTlsContext()
    context.common_tls_context.tls_certificate_sds_secret_configs.append(
        pb.SdsSecretConfig(name=name, sds_config=ads_config_source())
    )
    made = pb.Listener.FromString(listener(folder).body)
    made.filter_chains[0].transport_socket.CopyFrom(
        pb.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pb.any_of(context))
    )
    agent.cache.update(pb.LISTENER, [Resource.of("in", made)])
    await agent.start()
    await until(lambda: agent.asked == [name])
    assert not await agent.is_live()
    chain, key = certificate()
    secret = pb.Secret(
        name=name,
        tls_certificate=pb.TlsCertificate(
            certificate_chain=pb.DataSource(inline_bytes=chain), private_key=pb.DataSource(inline_bytes=key)
        ),
    )
    agent.cache.update(pb.SECRET, [Resource.of(name, secret)])
    await until(agent.is_live)
    assert name in agent.acked


def certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + dt.timedelta(days=1))
    pem = serialization.Encoding.PEM
    return (
        builder.sign(key, hashes.SHA256()).public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
