"""Child processes of the runtime. Each leads a session of its own and writes to a file, so it outlives us."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sidestep.local import namespaces
from sidestep.local.errors import OperatingSystemError


class Child:
    """A running process. `wait` it, or the kernel keeps its entry."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.started = time.time()

    @property
    def exit_code(self) -> int | None:
        """As a shell gives it: 128 + the signal when it was killed; None while it runs or was not waited for."""
        code = self._process.returncode
        return code if code is None or code >= 0 else 128 - code

    async def wait(self) -> int:
        """Its exit code, when it ends."""
        if self._process.poll() is None:
            handle = os.pidfd_open(self.pid)
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_reader(handle, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(handle)
                os.close(handle)
            self._process.wait()
        return self.exit_code or 0

    def abandon(self) -> None:
        """Nobody is going to wait for it; it lives on."""
        # or `Popen` complains when it is collected
        self._process.returncode = self._process.returncode or 0

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and all that it started and that did not leave its process group."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def stop(self, grace: float) -> int:
        """Terminate; kill after `grace` seconds."""
        self.signal_group(signal.SIGTERM)
        try:
            async with asyncio.timeout(max(grace, 0.05)):
                return await self.wait()
        except TimeoutError:
            self.signal_group(signal.SIGKILL)
            return await self.wait()


async def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    namespace: str | None = None,
    folder: Path | None = None,
) -> Child:
    """Start a process, in a network namespace if one is named; its output is appended to `log`."""
    return await asyncio.to_thread(_start, command, environment, log, namespace, folder)


def enter_network(namespace: str) -> list[str]:
    """The command prefix that runs the rest in that network namespace."""
    return ["nsenter", f"--net={namespaces.path_of(namespace)}", "--"]


def _start(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    namespace: str | None,
    folder: Path | None,
) -> Child:
    log.parent.mkdir(parents=True, exist_ok=True)
    prefix = enter_network(namespace) if namespace else []
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise OperatingSystemError(f"cannot start {command[0]}: {error.strerror}") from error
    return Child(process)
