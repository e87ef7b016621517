"""`sidestep node`: joins the parts of the agent and runs them.

The order at a start matters. Pods and mesh come from the agent's folder first, so that an Envoy that outlived the
last agent finds its configuration unchanged; then Envoy and DNS are adopted or started; the controller comes last,
and nothing waits for it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterable, Sequence

import grpc.aio
import structlog

from sidestep.envoy.capabilities import confined_prefix
from sidestep.envoy.errors import EnvoyError
from sidestep.envoy.supervisor import Supervisor
from sidestep.identity.certificate import WorkloadCertificate
from sidestep.identity.client import CertificateClient
from sidestep.identity.errors import IdentityError, SigningUnavailableError
from sidestep.identity.join import NodeCredentials, join
from sidestep.identity.manager import CertificateManager
from sidestep.identity.spiffe import SpiffeId
from sidestep.node.api import AgentServer, listen_on_socket
from sidestep.node.companion import Companion
from sidestep.node.configuration import ProxyConfiguration
from sidestep.node.discovery import Discovery
from sidestep.node.dns_feed import publish_captures
from sidestep.node.enrolment import Enrolment
from sidestep.node.mesh_feed import MeshFeed
from sidestep.node.metrics import serve_metrics
from sidestep.node.options import NodeOptions
from sidestep.node.outliers import FailureLog, OutlierDetector
from sidestep.node.pods import Pod, PodFile
from sidestep.node.proxy import envoy_options
from sidestep.node.status import Rejections, envoy_process, response
from sidestep.node.translator.node_proxy import workload_of
from sidestep.node.view import MeshView
from sidestep.wire import agent, istio
from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache
from sidestep.xds.client import WILDCARD, DeltaClient
from sidestep.xds.server import DeltaServer

KNOWN_SECONDS = 10.0
# It reads what any pod sends: no more than port 53, marks, and setns into pods.
DNS_CAPABILITIES = ("net_admin", "net_bind_service", "sys_admin")
XDS_ORDER = (pb.CLUSTER, pb.CLUSTER_LOAD_ASSIGNMENT, pb.SECRET, pb.EXTENSION_CONFIG, pb.LISTENER)

_log = structlog.get_logger()


class Agent:
    """The parts of one node's agent, and what its API does with them."""

    def __init__(self, options: NodeOptions) -> None:
        self.options = options
        settings = options.settings
        self.view = MeshView()
        self.cache = Cache()
        self.configuration = ProxyConfiguration(settings, self.view, self.cache)
        self.credentials: NodeCredentials | None = None
        self.signer: CertificateClient | None = None
        self.certificates = CertificateManager(self._sign)
        self.certificates.on_certificate(self._new_certificate)
        self.feed = MeshFeed(self.view, self.cache, options.state_dir / "mesh.msgpack", self._mesh_changed)
        self.enrolment = Enrolment(
            settings,
            self.configuration,
            self.certificates,
            PodFile(options.state_dir / "pods.json"),
            known=self._known,
            captures_changed=self._captures_changed,
            capture_dns=bool(options.dns_address),
        )
        self.outliers = OutlierDetector()
        self.supervisor = Supervisor(envoy_options(options))
        self.dns = Companion("dns", _dns_command(options), folder=options.state_dir, log=options.state_dir / "dns.log")
        self.rejections = Rejections()
        self.upstream: DeltaClient | None = None

    # --- the agent's API -----------------------------------------------------------------------------------------

    async def enrol(self, pod: Pod) -> None:
        """A pod joins."""
        await self.enrolment.enrol(pod)

    async def withdraw(self, uid: str, *, gone: bool) -> None:
        """A pod leaves."""
        await self.enrolment.withdraw(uid, gone=gone)

    async def status(self) -> agent.StatusResponse:
        """How the node is."""
        return self.report()

    async def restart(self) -> agent.RestartResponse:
        """A new Envoy takes over listening; the old one lives for its connections."""
        try:
            done = await self.supervisor.restart()
        except EnvoyError as error:
            raise ValueError(str(error)) from error
        return agent.RestartResponse(old=envoy_process(done.old), new=envoy_process(done.new))

    def report(self) -> agent.StatusResponse:
        """The same, for metrics."""
        return response(
            self.options.name,
            pods=self.configuration.pods.values(),
            processes=self.supervisor.processes(),
            rejections=self.rejections,
            connected=self.upstream is not None and self.upstream.connected,
            joined=self.credentials is not None,
            synchronised=self.feed.synchronised.is_set(),
        )

    # --- joints --------------------------------------------------------------------------------------------------

    async def _sign(self, identity: SpiffeId, csr_pem: str) -> Sequence[str]:
        if self.signer is None:
            raise SigningUnavailableError("this node has not joined the mesh yet: the controller does not answer")
        return await self.signer.sign(identity, csr_pem)

    def _new_certificate(self, certificate: WorkloadCertificate) -> None:
        self.configuration.put_trust_bundle(certificate.roots_pem.encode())
        self.configuration.put_certificate(certificate)

    def _mesh_changed(self, addresses: frozenset[str], policies: bool) -> None:
        self.configuration.mesh_changed(addresses, policies=policies)

    def _captures_changed(self) -> None:
        publish_captures(self.cache, self.options, self.configuration.pods.values())

    def _endpoints_changed(self, endpoints: Iterable[str]) -> None:
        self.configuration.endpoints_rest(self.outliers.resting, endpoints)

    async def _known(self, pod: Pod) -> bool:
        deadline = time.monotonic() + KNOWN_SECONDS
        while not self._described(pod):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    def _described(self, pod: Pod) -> bool:
        """Whether the mesh has told of the pod, and of all policies that cover it."""
        workload = workload_of(self.view, pod)
        return (
            workload is not None
            and self.configuration.mesh_known
            and all(key in self.view.policies for key in workload.authorization_policies)
        )

    # --- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until SIGTERM or SIGINT, which leave Envoy and DNS running for the next agent."""
        self.options.state_dir.mkdir(parents=True, exist_ok=True)
        remembered = self.feed.load()
        self.enrolment.resume()
        self.configuration.publish_base()
        self._captures_changed()
        self.cache.mark_complete(agent.POD_CAPTURE)
        if remembered:
            self._mesh_complete()
        server = await self._serve_xds()
        api = AgentServer(self.options.agent_socket, self)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(each)
                for each in (
                    self.supervisor.run(),
                    self.certificates.run(),
                    self.enrolment.run(),
                    self.feed.run(),
                    self._follow_controller(),
                    self._settle_unknown(),
                    FailureLog(self.options.failure_log, self.outliers, self._endpoints_changed).run(),
                    serve_metrics(
                        self.report,
                        self.options.metrics_address,
                        self.options.metrics_port,
                        self.supervisor.admin,
                    ),
                    *((self.dns.run(),) if self.options.dns_address else ()),
                )
            ]
            await api.start()
            _log.info("agent.started", node=self.options.name, pods=len(self.configuration.pods))
            await stop.wait()
            await api.stop()
            for task in running:
                task.cancel()
        await server.stop(0)

    async def _serve_xds(self) -> grpc.aio.Server:
        """On a Unix socket: Envoy's private keys pass through it."""
        xds = DeltaServer(
            self.cache,
            on_demand=Discovery(self.cache, self.configuration, self.certificates),
            order=XDS_ORDER,
            companions={pb.CLUSTER: pb.CLUSTER_LOAD_ASSIGNMENT},
            on_nack=self.rejections.rejected,
            on_ack=self.rejections.accepted,
        )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(xds.handlers())
        await listen_on_socket(server, self.options.xds_socket)
        return server

    async def _follow_controller(self) -> None:
        """Joins, then follows the mesh for ever."""
        token = (await asyncio.to_thread(self.options.token_file.read_text)).strip()
        try:
            self.credentials = await join(
                self.options.join, self.options.root_certificate, token, self.options.name, self.options.trust_domain
            )
        except IdentityError as error:
            _log.error("agent.refused", reason=str(error))
            raise
        credentials = self.credentials
        self.configuration.put_trust_bundle(credentials.certificate.roots_pem.encode())
        self.signer = CertificateClient(
            lambda: credentials.open_channel(self.options.controller), lifetime=self.options.certificate_lifetime
        )
        self.certificates.retry()
        self.upstream = DeltaClient(
            lambda: credentials.open_channel(self.options.controller),
            pb.Node(id=self.options.name, cluster="node"),
            {istio.ADDRESS: WILDCARD, istio.AUTHORIZATION: WILDCARD},
            self.feed,
            known={
                type_url: {each.name: each.version for each in self.cache.snapshot(type_url)}
                for type_url in (istio.ADDRESS, istio.AUTHORIZATION)
            },
            on_whole=self.feed.on_whole,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(credentials.run())
            tasks.create_task(self.upstream.run())
            await self.feed.synchronised.wait()
            self._mesh_complete()

    def _mesh_complete(self) -> None:
        """From now on what the mesh does not name does not exist."""
        self.configuration.mesh_is_known()
        for type_url in (istio.ADDRESS, istio.AUTHORIZATION, pb.CLUSTER_LOAD_ASSIGNMENT):
            self.cache.mark_complete(type_url)

    async def _settle_unknown(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            if self.cache.complete(istio.ADDRESS):
                self.configuration.settle_unknown()


def _dns_command(options: NodeOptions) -> list[str]:
    return [
        *confined_prefix(capabilities=DNS_CAPABILITIES),
        sys.executable,
        "-m",
        "sidestep",
        "dns",
        f"--node={options.name}",
        f"--xds-socket={options.xds_socket}",
        f"--domain={options.domain}",
    ]


async def run_node(options: NodeOptions) -> None:
    """Runs the agent of one node."""
    await Agent(options).run()
