"""A process that works beside the agent and outlives it: the node's DNS server.

It runs in a session of its own; a restarted agent finds it by its pid and start time and goes on watching it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from sidestep.envoy.process import start_time

_POLL_SECONDS = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

_log = structlog.get_logger()


class _Process(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    started: int


class Companion:
    """Keeps one process running: adopts it, starts it, starts it again when it ends."""

    def __init__(self, name: str, command: Sequence[str], *, folder: Path, log: Path) -> None:
        self._name = name
        self._command = tuple(command)
        self._file = folder / f"{name}.json"
        self._log_path = log
        self._process: _Process | None = None

    async def run(self) -> None:
        """Until cancelled, which leaves the process running."""
        pause = _FIRST_PAUSE
        self._process = self._adopted()
        while True:
            if self._process is None or not self._alive(self._process):
                self._process = await asyncio.to_thread(self._start)
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            await asyncio.sleep(_POLL_SECONDS)
            pause = max(_FIRST_PAUSE, pause * 0.9)

    def _start(self) -> _Process:
        with self._log_path.open("ab") as log:
            child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        process = _Process(pid=child.pid, started=start_time(child.pid) or 0)
        self._file.write_bytes(msgspec.json.encode(process))
        _log.info("companion.started", name=self._name, pid=child.pid)
        return process

    def _adopted(self) -> _Process | None:
        try:
            process = msgspec.json.decode(self._file.read_bytes(), type=_Process)
        except (OSError, msgspec.DecodeError):
            return None
        return process if self._alive(process) else None

    @staticmethod
    def _alive(process: _Process) -> bool:
        # A child of ours that ended stays a zombie until it is waited for.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
        return start_time(process.pid) == process.started
