"""The agent's page of metrics: where a Prometheus finds Envoy's as well."""

import asyncio
from pathlib import Path

import httpx

from sidestep.envoy.admin import AdminClient
from sidestep.node.metrics import application
from sidestep.wire import agent


async def page(envoy: AdminClient | None) -> str:
    transport = httpx.ASGITransport(application(agent.StatusResponse, envoy))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        response = await client.get("/metrics")
    assert response.status_code == 200
    return response.text


async def test_envoys_metrics_follow_the_agents(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        assert asked.startswith(b"GET /stats/prometheus")
        body = b"# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n"
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    socket = tmp_path / "admin.sock"
    server = await asyncio.start_unix_server(answer, socket)
    async with server, AdminClient(socket) as envoy:
        text = await page(envoy)
    assert text.index("sidestep_node_ready 0.0\n") < text.index(
        "# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n"
    )


async def test_without_an_envoy_the_agents_own_are_there(tmp_path: Path) -> None:
    async with AdminClient(tmp_path / "none.sock") as envoy:
        assert "sidestep_node_ready" in await page(envoy)
    assert "sidestep_node_ready" in await page(None)
