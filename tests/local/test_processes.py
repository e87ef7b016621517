import asyncio
import os
import signal
import sys
from pathlib import Path

from sidestep.local import children
from sidestep.local.layout import Layout
from sidestep.local.processes import ProcessPlan, ProcessRecord, Registry, is_alive, keep_running


async def test_a_process_that_dies_is_restarted_and_registered(tmp_path: Path) -> None:
    layout, died = Layout.of(tmp_path), list[int]()
    registry = Registry(layout.processes)
    command = (
        sys.executable,
        "-c",
        "import os, time; print(os.environ['SIDESTEP_INSTANCE'], flush=True); time.sleep(60)",
    )
    plan = ProcessPlan(role="controller", name="controller", command=command, log=layout.logs / "x.log")

    def note(_: ProcessPlan, code: int) -> None:
        died.append(code)

    async def next_record(restarts: int) -> ProcessRecord:
        async with asyncio.timeout(10):
            while True:
                found = [record for record in registry.alive() if record.restarts == restarts]
                if found:
                    return found[0]
                await asyncio.sleep(0.02)

    task = asyncio.create_task(keep_running(plan, layout, registry, on_restart=note))
    first = await next_record(0)
    os.kill(first.pid, signal.SIGKILL)
    second = await next_record(1)
    assert second.pid != first.pid
    assert died == [137]
    task.cancel()
    await asyncio.wait([task])
    assert is_alive(second.pid)
    os.kill(second.pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, second.pid, 0)
    assert not is_alive(second.pid)


async def until_up(log: Path) -> None:
    while b"up" not in log.read_bytes():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)


async def test_stop_is_polite_first(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 3' TERM; echo up; while true; do :; done"
    child = await children.start(["/bin/sh", "-c", script], environment=os.environ, log=tmp_path / "log")
    await until_up(tmp_path / "log")
    assert await child.stop(5) == 3
    assert (tmp_path / "log").read_bytes() == b"up\nbye\n"
    assert await child.stop(5) == 3


async def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    script = "trap '' TERM; echo up; while true; do sleep 0.05; done"
    child = await children.start(["/bin/sh", "-c", script], environment=os.environ, log=tmp_path / "log")
    await until_up(tmp_path / "log")
    assert await child.stop(0.1) == 137
