"""A controller's two gRPC ports on loopback, over a mesh given as model objects."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from sidestep.controller.certificates import CertificateService, Issuer, Placement
from sidestep.controller.credentials import ServerCredentials
from sidestep.controller.join import JoinService, JoinTokens
from sidestep.identity.authority import Authority
from sidestep.identity.certificate import WorkloadCertificate, new_key_and_csr
from sidestep.identity.join import CONTROLLER_NAME, NodeCredentials, join
from sidestep.identity.spiffe import SpiffeId
from sidestep.mesh.model import Mesh, Workload

TRUST_DOMAIN = "cluster.local"
TOKENS = {"node-1": "token-of-node-1-0123456789", "node-2": "token-of-node-2-0123456789"}


class Counts:
    """Counts what the services report."""

    def __init__(self) -> None:
        self.requests = 0
        self.certificates = 0
        self.refusals: list[str] = []

    def requested(self) -> None:
        self.requests += 1

    def issued(self) -> None:
        self.certificates += 1

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ports:
    """A running pair of servers."""

    authority: Authority
    counts: Counts
    placement: Placement
    credentials: ServerCredentials
    mesh: str
    joining: str
    root: Path
    tokens: Path

    async def join(self, node: str, token: str | None = None) -> NodeCredentials:
        return await join(self.joining, self.root, token or TOKENS[node], node, TRUST_DOMAIN)

    def channel_as(self, identity: SpiffeId, authority: Authority | None = None) -> grpc.aio.Channel:
        """A channel with a certificate that the authority (ours, or another one) made for anybody."""
        made = new_key_and_csr(identity)
        chain = (authority or self.authority).sign(made.csr_pem, identity)
        certificate = WorkloadCertificate.from_issued(
            identity, chain, made.private_key_pem, now=dt.datetime.now(dt.UTC)
        )
        credentials = grpc.ssl_channel_credentials(
            self.authority.trust.pem.encode(), certificate.private_key_pem.encode(), certificate.chain_pem.encode()
        )
        return self._secure(credentials)

    def channel_without_certificate(self) -> grpc.aio.Channel:
        return self._secure(grpc.ssl_channel_credentials(self.authority.trust.pem.encode()))

    def _secure(self, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
        options = [("grpc.ssl_target_name_override", CONTROLLER_NAME), ("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(self.mesh, credentials, options=options)


def workload(name: str, node: str, service_account: str) -> Workload:
    return Workload(
        uid=f"Kubernetes//Pod/shop/{name}", name=name, namespace="shop", node=node, service_account=service_account
    )


def _write_tokens(folder: Path) -> None:
    folder.mkdir()
    for node, token in TOKENS.items():
        (folder / node).write_text(token + "\n")
        (folder / node).chmod(0o600)


@contextlib.asynccontextmanager
async def _serving(credentials: grpc.ServerCredentials, handler: grpc.GenericRpcHandler) -> AsyncIterator[str]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    authority = Authority.load_or_create(tmp_path / "ca", TRUST_DOMAIN)
    root = tmp_path / "root-cert.pem"
    root.write_text(authority.trust.pem)
    _write_tokens(tmp_path / "tokens")
    counts, placement = Counts(), Placement()
    workloads = [workload("web", "node-1", "web"), workload("db", "node-2", "db"), workload("vm", "", "vm")]
    placement.update(Mesh(workloads={each.uid: each for each in workloads}))
    credentials = ServerCredentials(authority, dt.timedelta(hours=24))
    issuer = Issuer(authority, dt.timedelta(hours=24), counts)
    service = CertificateService(issuer, placement).handler()
    joining = JoinService(issuer, JoinTokens(tmp_path / "tokens")).handler()
    async with (
        _serving(credentials.mutual(), service) as mesh_address,
        _serving(credentials.server_only(), joining) as join_address,
    ):
        yield Ports(
            authority=authority,
            counts=counts,
            placement=placement,
            credentials=credentials,
            mesh=mesh_address,
            joining=join_address,
            root=root,
            tokens=tmp_path / "tokens",
        )
