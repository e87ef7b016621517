from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidestep.envoy.admin import AdminClient
from sidestep.envoy.binary import find_binary, hot_restart_version, version
from sidestep.envoy.bootstrap import BootstrapOptions, bootstrap
from sidestep.envoy.errors import AdminError, EnvoyNotFoundError
from sidestep.envoy.options import EnvoyOptions
from sidestep.envoy.supervisor import Supervisor

SECRET = "-----BEGIN PRIVATE KEY-----\nnobody may see this\n-----END PRIVATE KEY-----\n"


@contextlib.asynccontextmanager
async def envoy(folder: Path) -> AsyncIterator[Supervisor]:
    config = bootstrap(
        BootstrapOptions(
            node_id="n", node_cluster="c", xds_socket=folder / "xds.sock", admin_socket=folder / "admin.sock"
        )
    )
    config.ClearField("dynamic_resources")
    secret = config.static_resources.secrets.add(name="hidden")
    secret.generic_secret.secret.inline_string = SECRET
    supervisor = Supervisor(
        EnvoyOptions(
            binary=find_binary(), bootstrap=config, folder=folder, log_path=folder / "envoy.log", concurrency=1
        )
    )
    run = asyncio.create_task(supervisor.run())
    try:
        await asyncio.wait_for(supervisor.ready(), 10)
        yield supervisor
    finally:
        await supervisor.stop()
        await run


async def test_what_it_answers(tmp_path: Path) -> None:
    async with envoy(tmp_path) as supervisor, AdminClient(tmp_path / "admin.sock") as admin:
        assert await admin.is_ready()
        info = await admin.server_info()
        assert (info.state, info.epoch) == ("LIVE", 0)
        assert info.hot_restart_version == await hot_restart_version(find_binary())
        assert [status.name for status in (await admin.clusters()).cluster_statuses] == ["xds"]
        assert (await admin.stats("^server.live$")) == {"server.live": 1}
        assert b"envoy_server_live" in await admin.prometheus()
        memory = await admin.memory()
        assert memory.heap_size >= memory.allocated > 1_000_000
        dump = await admin.config_dump()
        assert "nobody may see this" not in str(dump)
        assert "hidden" in str(dump)
        await admin.set_log_level("error")
        await admin.drain_listeners()
        assert (tmp_path / "admin.sock").stat().st_mode & 0o777 == 0o600
        assert [process.epoch for process in supervisor.processes()] == [0]
        with pytest.raises(AdminError, match="/logging: 400"):
            await admin.set_log_level("loud")


async def test_nobody_answers(tmp_path: Path) -> None:
    async with AdminClient(tmp_path / "admin.sock") as admin:
        assert not await admin.is_ready()
        with pytest.raises(AdminError, match="no answer"):
            await admin.memory()


async def test_version() -> None:
    found = await version(find_binary())
    assert found.release == "1.40.0"
    assert found.hot_restart


async def test_what_is_no_envoy(tmp_path: Path) -> None:
    with pytest.raises(EnvoyNotFoundError, match="does not run"):
        await version(tmp_path / "nothing")
    with pytest.raises(EnvoyNotFoundError, match="does not look like Envoy"):
        await version(Path("/bin/echo"))
