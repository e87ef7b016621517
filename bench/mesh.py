"""A mesh of the benchmark's own, driven through the command line as a person would."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec

UP_SECONDS = 90


class MeshError(Exception):
    """`sidestep` or a command in a pod failed; the text is what it said."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the mesh, from `status -o json`."""

    role: str
    name: str
    pid: int
    node: str = ""

    @property
    def title(self) -> str:
        """How a report calls it."""
        role = "agent" if self.role == "node" else self.role
        return f"{role} {self.node}" if self.node else role


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod, from `status -o json`."""

    name: str
    addresses: tuple[str, ...]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `status -o json` that is needed here."""

    processes: tuple[Process, ...]
    pods: tuple[Pod, ...]

    def address(self, pod: str) -> str:
        """The pod's first address. Raises `MeshError`."""
        found = next((each.addresses for each in self.pods if each.name == pod), ())
        if not found:
            raise MeshError(f"the pod {pod} has no address")
        return found[0]


class Mesh:
    """One `sidestep up`, with its own state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def up(self, manifest: Path, *, concurrency: int, options: tuple[str, ...] = ()) -> None:
        """Two nodes; returns when every pod is ready."""
        workers = (f"--concurrency={concurrency}",) if concurrency else ()
        wait = (f"--wait={UP_SECONDS}", "--detach")
        self._sidestep("up", "--nodes=2", f"--file={manifest}", *wait, *workers, *options, seconds=UP_SECONDS + 60)

    def down(self) -> None:
        """Ends everything; a signal to this process' group does not reach it."""
        self._sidestep("down", seconds=120, own_session=True)

    def status(self) -> Status:
        """As it is now."""
        return msgspec.json.decode(self._sidestep("status", "--output=json", seconds=60), type=Status)

    def execute(self, pod: str, command: list[str], *, seconds: float) -> str:
        """What the command prints. Raises `MeshError`."""
        return self._sidestep("exec", pod, "--", *command, seconds=seconds)

    def first_answer(self, pod: str, url: str, *, patience: float = 60) -> float:
        """Milliseconds of the first request that is answered, connecting included. Raises `MeshError`."""
        deadline = time.monotonic() + patience
        curl = ["curl", "--silent", "--fail", "--output", "/dev/null", "--write-out", "%{time_total}", url]
        while True:
            try:
                return float(self.execute(pod, curl, seconds=patience)) * 1000
            except MeshError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _sidestep(self, command: str, *arguments: str, seconds: float, own_session: bool = False) -> str:
        line = [sys.executable, "-m", "sidestep", command, f"--state-dir={self.state_dir}", *arguments]
        try:
            done = subprocess.run(
                line, capture_output=True, text=True, timeout=seconds, check=False, start_new_session=own_session
            )
        except subprocess.TimeoutExpired as error:
            raise MeshError(f"sidestep {command} did not end within {seconds:g} s") from error
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise MeshError(f"sidestep {command} {' '.join(arguments)}: exit code {done.returncode}: {said}")
        return done.stdout
