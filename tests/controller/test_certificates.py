from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from cryptography import x509

from sidestep.identity.authority import Authority
from sidestep.identity.certificate import identity_of, new_key_and_csr
from sidestep.identity.client import CertificateClient, create_certificate
from sidestep.identity.errors import IdentityError, SigningRefusedError, SigningUnavailableError
from sidestep.identity.manager import CertificateManager
from sidestep.identity.spiffe import SpiffeId
from sidestep.mesh.model import Mesh, Workload
from sidestep.wire import istio

if TYPE_CHECKING:
    from tests.controller.conftest import Ports

WEB = SpiffeId.workload("cluster.local", "shop", "web")
DB = SpiffeId.workload("cluster.local", "shop", "db")


@contextlib.asynccontextmanager
async def client_of(ports: Ports, node: str, lifetime: float = 86400) -> AsyncIterator[CertificateClient]:
    credentials = await ports.join(node)
    client = CertificateClient(lambda: credentials.open_channel(ports.mesh), lifetime=dt.timedelta(seconds=lifetime))
    try:
        yield client
    finally:
        await client.close()


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)


async def test_a_node_gets_certificates_of_its_own_workloads(ports: Ports) -> None:
    async with client_of(ports, "node-1", lifetime=600) as client:
        chain = await client.sign(WEB, new_key_and_csr(WEB).csr_pem)
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    assert identity_of(leaf) == WEB
    assert leaf.not_valid_after_utc - dt.datetime.now(dt.UTC) <= dt.timedelta(seconds=600)
    assert chain[-1] == ports.authority.trust.pem
    assert ports.counts.certificates == 2


@pytest.mark.parametrize(
    "identity",
    [
        DB,
        SpiffeId.workload("cluster.local", "shop", "vm"),
        SpiffeId.workload("cluster.local", "other", "web"),
        SpiffeId.workload("other.domain", "shop", "web"),
        SpiffeId.node("cluster.local", "node-1"),
        SpiffeId.node("cluster.local", "node-2"),
        SpiffeId.controller("cluster.local"),
    ],
    ids=str,
)
async def test_a_node_gets_no_other_certificate(ports: Ports, identity: SpiffeId) -> None:
    async with client_of(ports, "node-1") as client:
        with pytest.raises(SigningRefusedError, match="PERMISSION_DENIED"):
            await client.sign(identity, new_key_and_csr(identity).csr_pem)
    assert ports.counts.certificates == 1  # the node's own


async def test_a_request_for_one_name_with_another_in_it_is_refused(ports: Ports) -> None:
    async with client_of(ports, "node-1") as client:
        with pytest.raises(SigningRefusedError, match=r"names spiffe://cluster\.local/ns/shop/sa/db"):
            await client.sign(WEB, new_key_and_csr(DB).csr_pem)
        with pytest.raises(SigningRefusedError, match="cannot be read"):
            await client.sign(WEB, "nonsense")


async def test_a_request_without_identity_or_with_a_negative_lifetime_is_refused(ports: Ports) -> None:
    csr = new_key_and_csr(WEB).csr_pem
    async with ports.channel_as(SpiffeId.node("cluster.local", "node-1")) as channel:
        with pytest.raises(SigningRefusedError, match="ImpersonatedIdentity"):
            await create_certificate(channel, istio.IstioCertificateRequest(csr=csr))
        request = istio.IstioCertificateRequest(csr=csr, validity_duration=-1)
        request.metadata.update({"ImpersonatedIdentity": str(WEB)})
        with pytest.raises(SigningRefusedError, match="positive"):
            await create_certificate(channel, request)


async def test_the_lifetime_is_bounded(ports: Ports) -> None:
    async with client_of(ports, "node-1", lifetime=10 * 86400) as client:
        chain = await client.sign(WEB, new_key_and_csr(WEB).csr_pem)
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    assert leaf.not_valid_after_utc <= dt.datetime.now(dt.UTC) + dt.timedelta(hours=24)


async def _refusal(channel: grpc.aio.Channel) -> IdentityError:
    request = istio.IstioCertificateRequest(csr=new_key_and_csr(WEB).csr_pem)
    request.metadata.update({"ImpersonatedIdentity": str(WEB)})
    async with channel:
        with pytest.raises(IdentityError) as caught:
            await create_certificate(channel, request)
    return caught.value


async def test_only_nodes_of_this_mesh_may_call(ports: Ports, tmp_path: Path) -> None:
    for identity in (WEB, SpiffeId.controller("cluster.local")):
        assert "is not a node" in str(await _refusal(ports.channel_as(identity)))
    stranger = Authority.load_or_create(tmp_path / "stranger", "cluster.local")
    node = SpiffeId.node("cluster.local", "node-1")
    assert isinstance(await _refusal(ports.channel_as(node, stranger)), SigningUnavailableError)
    assert isinstance(await _refusal(ports.channel_without_certificate()), SigningUnavailableError)
    assert isinstance(await _refusal(grpc.aio.insecure_channel(ports.mesh)), SigningUnavailableError)
    assert ports.counts.certificates == 0
    assert len(ports.counts.refusals) == 2


async def test_the_manager_waits_for_a_mesh_that_lags(ports: Ports) -> None:
    late = SpiffeId.workload("cluster.local", "shop", "late")
    async with client_of(ports, "node-1") as client:
        manager = CertificateManager(client.sign)
        running = asyncio.create_task(manager.run())
        manager.want(late)
        await _until(lambda: late in manager.failures())
        async with asyncio.timeout(10):
            pod = Workload(uid="late", name="late", namespace="shop", node="node-1", service_account="late")
            ports.placement.update(Mesh(workloads={pod.uid: pod}))
            certificate = await manager.wait(late)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert certificate.identity == late


async def test_the_server_certificate_is_renewed_without_closing_the_port(ports: Ports) -> None:
    async with client_of(ports, "node-1") as client:
        await client.sign(WEB, new_key_and_csr(WEB).csr_pem)
        before = ports.credentials._certificate
        ports.credentials._certificate = ports.credentials._issue()
        assert ports.credentials._certificate.serial != before.serial
        await client.close()
        await client.sign(WEB, new_key_and_csr(WEB).csr_pem)
