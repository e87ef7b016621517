from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.controller.join import JoinTokens
from sidestep.identity.authority import Authority
from sidestep.identity.certificate import new_key_and_csr
from sidestep.identity.client import create_certificate
from sidestep.identity.errors import JoinRefusedError, SigningRefusedError
from sidestep.identity.join import CONTROLLER_NAME, join
from sidestep.identity.spiffe import SpiffeId
from sidestep.wire import istio

if TYPE_CHECKING:
    from tests.controller.conftest import Ports

TOKEN_1 = "token-of-node-1-0123456789"
TOKEN_2 = "token-of-node-2-0123456789"


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)


async def test_a_node_joins_with_its_token(ports: Ports) -> None:
    credentials = await ports.join("node-1")
    assert str(credentials.identity) == "spiffe://cluster.local/sidestep/node/node-1"
    assert credentials.certificate.is_valid(dt.datetime.now(dt.UTC))
    assert "PRIVATE" not in repr(credentials) + repr(credentials.certificate)


@pytest.mark.parametrize(
    ("node", "token"),
    [
        ("node-1", TOKEN_2),
        ("node-1", TOKEN_1[:-1]),
        ("node-1", TOKEN_1 + "x"),
        ("node-1", "x"),
        ("node-3", TOKEN_1),
        ("..", TOKEN_1),
        ("node-1.", TOKEN_1),
    ],
)
async def test_wrong_tokens_are_refused_all_alike(ports: Ports, node: str, token: str) -> None:
    if node == "..":
        request = istio.IstioCertificateRequest(csr=new_key_and_csr(SpiffeId.node("cluster.local", "x")).csr_pem)
        request.metadata.update({"ImpersonatedIdentity": "spiffe://cluster.local/sidestep/node/../node-1"})
        with pytest.raises(SigningRefusedError):
            await _call(ports, request, token)
    else:
        with pytest.raises(JoinRefusedError, match="the join token is not that of"):
            await ports.join(node, token)
    assert ports.counts.certificates == 0


async def _call(ports: Ports, request: istio.IstioCertificateRequest, token: str | None) -> None:
    credentials = grpc.ssl_channel_credentials(ports.authority.trust.pem.encode())
    options = [("grpc.ssl_target_name_override", CONTROLLER_NAME)]
    async with grpc.aio.secure_channel(ports.joining, credentials, options=options) as channel:
        await create_certificate(channel, request, bearer=token)


@pytest.mark.parametrize("identity", ["ns/shop/sa/web", "sidestep/controller", "sidestep/node/node-2"])
async def test_a_token_buys_only_the_nodes_own_identity(ports: Ports, identity: str) -> None:
    wanted = SpiffeId.parse(f"spiffe://cluster.local/{identity}")
    request = istio.IstioCertificateRequest(csr=new_key_and_csr(wanted).csr_pem)
    request.metadata.update({"ImpersonatedIdentity": str(wanted)})
    with pytest.raises(SigningRefusedError):
        await _call(ports, request, TOKEN_1)
    request.metadata.update({"ImpersonatedIdentity": "spiffe://cluster.local/sidestep/node/node-1"})
    with pytest.raises(SigningRefusedError, match="names"):
        await _call(ports, request, TOKEN_1)


async def test_no_token_and_no_other_method(ports: Ports) -> None:
    node = SpiffeId.node("cluster.local", "node-1")
    request = istio.IstioCertificateRequest(csr=new_key_and_csr(node).csr_pem)
    request.metadata.update({"ImpersonatedIdentity": str(node)})
    with pytest.raises(SigningRefusedError, match="UNAUTHENTICATED"):
        await _call(ports, request, None)
    credentials = grpc.ssl_channel_credentials(ports.authority.trust.pem.encode())
    options = [("grpc.ssl_target_name_override", CONTROLLER_NAME)]
    async with grpc.aio.secure_channel(ports.joining, credentials, options=options) as channel:
        method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(method)()
        assert await call.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_joining_waits_for_the_root_certificate(ports: Ports, tmp_path: Path) -> None:
    path = tmp_path / "late.pem"
    joining = asyncio.create_task(join(ports.joining, path, TOKEN_1, "node-1", "cluster.local"))
    await asyncio.sleep(0.15)
    assert not joining.done()
    path.write_bytes(ports.root.read_bytes())
    async with asyncio.timeout(5):
        assert (await joining).identity.node_name == "node-1"


async def test_the_node_renews_at_half_life_and_a_withdrawn_token_ends_that(ports: Ports) -> None:
    lifetime = dt.timedelta(seconds=2)
    credentials = await join(ports.joining, ports.root, TOKEN_1, "node-1", "cluster.local", lifetime=lifetime)
    first = credentials.certificate
    running = asyncio.create_task(credentials.run())
    await _until(lambda: credentials.certificate is not first)
    assert credentials.certificate.private_key_pem != first.private_key_pem
    (ports.tokens / "node-1").unlink()
    await _until(lambda: ports.counts.refusals)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_other_roots_are_noticed(ports: Ports, tmp_path: Path) -> None:
    credentials = await ports.join("node-1")
    assert not credentials._has_other_roots()
    ports.root.write_text("half a fi")
    assert not credentials._has_other_roots()
    other = Authority.load_or_create(tmp_path / "other", "cluster.local").trust
    ports.root.write_text(ports.authority.trust.union(other).pem)
    assert credentials._has_other_roots()


def test_token_files_open_to_others_or_too_short_are_not_used(tmp_path: Path) -> None:
    tokens = JoinTokens(tmp_path)
    path = tmp_path / "node-1"
    path.write_text(TOKEN_1)
    path.chmod(0o644)
    assert not tokens.is_valid("node-1", TOKEN_1)
    path.chmod(0o600)
    assert tokens.is_valid("node-1", TOKEN_1)
    path.write_text("short")
    assert not tokens.is_valid("node-1", "short")
    path.write_text("")
    assert not tokens.is_valid("node-1", "")


@given(node=st.text(max_size=30) | st.sampled_from(["../node-1", "./node-1", "tokens/node-1", "node-1\0", "NODE-1"]))
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, node: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "tokens"
    folder.mkdir(exist_ok=True)
    for path in (folder / "node-1", folder.parent / "node-1"):
        path.write_text(TOKEN_1)
        path.chmod(0o600)
    assert JoinTokens(folder).is_valid(node, TOKEN_1) == (node == "node-1")
