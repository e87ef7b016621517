"""A process that may outlive the one that started it, watched through a pidfd whether it is a child or not."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

_START_TIME_FIELD = 22
_PROC = Path("/proc")
_PID_DESCRIPTOR = 9
_LAUNCH = f'setsid "$@" {_PID_DESCRIPTOR}>&- & echo $! >&{_PID_DESCRIPTOR}'


def start_time(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; with the pid it names a process for ever. None: it is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the second field, the name, is in parentheses and may itself contain anything
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else int(fields[_START_TIME_FIELD - 3])


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments of a living process; empty if it is gone."""
    try:
        data = (_PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(os.fsdecode(part) for part in data.split(b"\0")[:-1])


def find(argument: str) -> list[int]:
    """Pids of the living processes that have `argument` on their command line."""
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if argument in command_line(pid)]


class RunningProcess:
    """A living process. `on_end` is called in the event loop when it has ended."""

    def __init__(self, pid: int, started: int, descriptor: int, on_end: Callable[[], None]) -> None:
        self.pid = pid
        self.started = started
        self._descriptor = descriptor
        self._on_end = on_end
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._end)

    @classmethod
    def attach(cls, pid: int, started: int, on_end: Callable[[], None]) -> Self | None:
        """Watch the process `pid` that began at `started`; None if that one has ended."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        # compared after the descriptor is open: from here on the pid cannot come to mean another process
        if start_time(pid) != started:
            os.close(descriptor)
            return None
        return cls(pid, started, descriptor, on_end)

    @classmethod
    def spawn(cls, command: Sequence[str], log_path: Path, on_end: Callable[[], None]) -> Self:
        """Start `command` in a session of its own, with its output appended to `log_path`.

        It is no child of ours: Envoy asks the kernel to be ended together with its parent (PR_SET_PDEATHSIG, when hot
        restart is on), so its parent is a shell that has ended before Envoy asks.
        """
        output = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        reader, writer = os.pipe()
        try:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                (os.POSIX_SPAWN_DUP2, writer, _PID_DESCRIPTOR),
            ]
            shell = os.posix_spawnp("sh", ["sh", "-c", _LAUNCH, "sh", *command], os.environ, file_actions=actions)
            os.waitpid(shell, 0)
            pid = int(os.read(reader, 32))
        finally:
            for descriptor in (output, reader, writer):
                os.close(descriptor)
        started = start_time(pid)
        process = None if started is None else cls.attach(pid, started, on_end)
        if process is None:
            raise OSError(errno.ECHILD, f"{command[0]} ended at once; its log says why", str(log_path))
        return process

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    async def wait(self) -> None:
        """Return when it has ended."""
        await self._ended.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended or is no longer watched."""
        if self.has_ended or self._descriptor < 0:
            return
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            # it ended, and the event loop has not told us yet
            return

    async def end(self, *, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL after `grace_seconds`; returns when it has ended."""
        self.send(signal.SIGTERM)
        try:
            # not wait_for: in Python 3.11 it loses a cancellation that comes together with the result
            async with asyncio.timeout(grace_seconds):
                await self.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.wait()

    def close(self) -> None:
        """Stop watching. The process goes on."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _end(self) -> None:
        self.close()
        self._ended.set()
        self._on_end()
