"""A process that may outlive the one that started it, watched through a pidfd whether it is a child or not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

_START_TIME_FIELD = 22
_PROC = Path("/proc")


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
        self.exit_status: int | None = None
        """Exit code, or minus the signal; None while it runs, and for ever if it is not our child."""
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
        """Start `command` in a session of its own, with its output appended to `log_path`."""
        output = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ]
            pid = os.posix_spawnp(command[0], list(command), os.environ, file_actions=actions, setsid=True)
        finally:
            os.close(output)
        # our own child: until it is waited for, its pid is its own
        return cls(pid, start_time(pid) or 0, os.pidfd_open(pid), on_end)

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
        try:
            result = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            result = None
        if result is not None:
            exited = result.si_code == os.CLD_EXITED
            self.exit_status = result.si_status if exited else -result.si_status
        self.close()
        self._ended.set()
        self._on_end()
