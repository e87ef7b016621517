from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

from sidestep.envoy.process import RunningProcess, command_line, find, start_time


def nothing() -> None:
    return None


async def test_a_child_in_a_session_of_its_own(tmp_path: Path) -> None:
    ended: list[bool] = []
    process = RunningProcess.spawn(
        ["sh", "-c", "echo to the log; echo and errors >&2; sleep 0.1"], tmp_path / "log", lambda: ended.append(True)
    )
    await asyncio.wait_for(process.wait(), 5)
    assert ended == [True]
    assert (tmp_path / "log").read_text() == "to the log\nand errors\n"
    process.send(signal.SIGKILL)  # nothing happens


async def test_it_outlives_whoever_watches_it(tmp_path: Path) -> None:
    process = RunningProcess.spawn(["sleep", "30"], tmp_path / "log", nothing)
    async with asyncio.timeout(5):
        while os.getsid(process.pid) != process.pid:  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)
    process.close()
    again = RunningProcess.attach(process.pid, process.started, nothing)
    assert again is not None
    await again.end(grace_seconds=5)
    assert start_time(process.pid) is None


async def test_its_parent_is_not_whoever_starts_it(tmp_path: Path) -> None:
    """Envoy ends with its parent, by PR_SET_PDEATHSIG, and must not end with its agent."""
    process = RunningProcess.spawn(["sleep", "30"], tmp_path / "log", nothing)
    parent = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) != os.getpid()
    await process.end(grace_seconds=1)


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process = RunningProcess.spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], tmp_path / "log", nothing
    )
    await asyncio.sleep(0.3)
    assert (tmp_path / "log").read_text() == "ready\n"
    await process.end(grace_seconds=0.2)
    assert start_time(process.pid) is None


async def test_another_process_with_the_same_pid_is_not_adopted(tmp_path: Path) -> None:
    process = RunningProcess.spawn(["sleep", "30"], tmp_path / "log", nothing)
    assert RunningProcess.attach(process.pid, process.started + 1, nothing) is None
    await process.end(grace_seconds=1)
    assert RunningProcess.attach(process.pid, process.started, nothing) is None


async def test_the_end_of_a_process_that_is_no_child() -> None:
    # a shell starts it and ends: its parent is another process then
    shell = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
    )
    pid = int(shell.stdout)
    started = start_time(pid)
    assert started is not None
    process = RunningProcess.attach(pid, started, nothing)
    assert process is not None
    await process.end(grace_seconds=5)
    assert process.has_ended


def test_a_name_with_parentheses_and_spaces_does_not_confuse(tmp_path: Path) -> None:
    strange = tmp_path / "a) R (b"
    strange.symlink_to("/bin/sleep")
    with subprocess.Popen([str(strange), "30"]) as process:
        try:
            time.sleep(0.1)  # right after exec the command line is empty
            assert command_line(process.pid)[-1] == "30"
            assert process.pid in find(str(strange))
            started = start_time(process.pid)
            own = start_time(os.getpid())
            assert started is not None
            assert own is not None
            assert started >= own
        finally:
            process.kill()
    assert start_time(process.pid) is None
    assert command_line(process.pid) == ()


async def test_a_cancellation_is_not_lost_when_the_process_ends_at_the_same_moment(tmp_path: Path) -> None:
    process = RunningProcess.spawn(["sh", "-c", "trap '' TERM; exec sleep 30"], tmp_path / "log", nothing)
    await asyncio.sleep(0.3)

    async def end_for_ever() -> None:
        while True:
            await process.end(grace_seconds=5)
            await asyncio.sleep(0)

    task = asyncio.create_task(end_for_ever())
    await asyncio.sleep(0.05)
    process._ended.set()
    await asyncio.sleep(0)  # whoever waits is about to run
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=2)
    process._ended.clear()
    await process.end(grace_seconds=0)
    assert done == {task}
