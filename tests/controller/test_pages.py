import asyncio
import json
from pathlib import Path

import httpx
import pytest

from sidestep.controller.metrics import ControllerMetrics
from sidestep.controller.pages import PageServer, application, listen
from sidestep.controller.status import StatusBoard
from sidestep.mesh.model import Mesh


async def test_health_metrics_and_status(tmp_path: Path) -> None:
    metrics, board, missing = ControllerMetrics(), StatusBoard(tmp_path / "status.json"), ["not yet"]
    metrics.published(Mesh(), changed=3, problems=2, seconds=0.1)
    metrics.refused("wrong token")
    listener = listen("127.0.0.1", 0)
    server = PageServer(application(metrics, board, lambda: missing[0]))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False) as client:
        assert (await client.get("/healthz/live")).status_code == 200
        ready = await client.get("/healthz/ready")
        assert (ready.status_code, ready.text) == (503, "not yet\n")
        missing[0] = ""
        assert (await client.get("/healthz/ready")).status_code == 200
        text = (await client.get("/metrics")).text
        assert "sidestep_problems 2.0" in text
        assert "pilot_xds_pushes_total 3.0" in text
        assert "citadel_server_authentication_failure_count_total 1.0" in text
        assert json.loads((await client.get("/status")).text)["problems"] == []
        assert (await client.get("/other")).status_code == 404
    server.should_exit = True
    await serving


def test_a_taken_port_is_an_error() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listener.getsockname()[1])
