"""The demo's own mesh: started, changed and ended through the command line, as a person would."""

from __future__ import annotations

import fcntl
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from sidestep.demo import shop
from sidestep.demo.traffic import AccessLogs, Workload
from sidestep.local.errors import ExitCode, LocalError, UnavailableError
from sidestep.local.instance import Instance, load
from sidestep.local.layout import Layout
from sidestep.local.merge import REDIRECTION
from sidestep.local.store import Store

_MARKER = "demo"
_POLL_SECONDS = 0.1
_LOG_LINES = 6


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the shop's load generator measured, summed up."""

    requests: int = 0
    failed: int = 0
    median_ms: float = 0
    """Of whole pages, of the reports' own medians; 0 if there was no request."""


class _LoadEvent(msgspec.Struct, frozen=True, kw_only=True):
    event: Literal["requests"]
    count: int
    failed: int
    p50_ms: float


class DemoMesh:
    """The shop in a mesh of two nodes, in a state folder that belongs to the demo."""

    def __init__(self, state_dir: Path) -> None:
        self.layout = Layout.of(state_dir)
        self.access_logs = AccessLogs(self.layout.nodes)
        self._store = Store(self.layout)
        self._load_offsets: dict[Path, int] = {}
        self._claim: BinaryIO | None = None

    @property
    def instance(self) -> Instance:
        """Names and addresses of the running mesh."""
        instance = load(self.layout.instance_file)
        if instance is None:
            raise UnavailableError(f"the mesh in {self.layout.state_dir} is gone; was it taken down?")
        return instance

    def claim(self) -> None:
        """Make the state folder ours. What a killed demo left in it is ended and removed; all else is left alone."""
        folder, marker = self.layout.state_dir, self.layout.state_dir / _MARKER
        left_by_demo = marker.exists()
        if not left_by_demo and folder.is_dir() and any(folder.iterdir()):
            raise UnavailableError(f"the state folder {folder} is not empty: choose another one with --state-dir")
        folder.mkdir(parents=True, exist_ok=True)
        self._claim = marker.open("ab")
        try:
            # the kernel gives the lock back when the demo ends, however that happens
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._claim.close()
            raise UnavailableError(f"another demo runs with the state folder {folder}") from error
        if left_by_demo:
            self._sidestep("down")

    def up(self, seconds: float) -> None:
        """Start two nodes and the shop, and wait until every pod is ready."""
        files = f"--file={shop.manifests()}"
        self._sidestep("up", "--nodes=2", files, "--detach", f"--wait={seconds:g}", show=True)

    def down(self) -> None:
        """End all of it, also after a start that failed, and leave no folder behind."""
        self._sidestep("down")
        self.release()

    def release(self) -> None:
        """The state folder is nobody's again; it is removed unless something is left in it."""
        (self.layout.state_dir / _MARKER).unlink(missing_ok=True)
        if self._claim is not None:
            self._claim.close()
        if self.layout.state_dir.is_dir() and not any(self.layout.state_dir.iterdir()):
            self.layout.state_dir.rmdir()

    def enrol(self, *, in_mesh: bool, seconds: float) -> None:
        """Put the namespace's label on or take it off, and wait until every pod has followed."""
        self._sidestep("apply", "--file=-", given=shop.namespace_manifest(in_mesh=in_mesh))
        self.wait_until(
            lambda: all(workload.enrolled is in_mesh for workload in self.workloads()),
            seconds,
            f"not every pod has {'joined' if in_mesh else 'left'} the mesh",
        )

    def workloads(self) -> tuple[Workload, ...]:
        """The shop's pods."""
        pods = [pod for key, pod in self._store.all("Pod").items() if key.namespace == shop.NAMESPACE]
        labels = [pod["metadata"].get("labels") or {} for pod in pods]
        names = [label.get("app", pod["metadata"]["name"]) for pod, label in zip(pods, labels, strict=True)]
        made = []
        for pod, label, name in zip(pods, labels, names, strict=True):
            annotations = pod["metadata"].get("annotations") or {}
            made.append(
                Workload(
                    pod=pod["metadata"]["name"],
                    label=f"{name} {label.get('version', '')}".strip() if names.count(name) > 1 else name,
                    application=name,
                    node=(pod.get("spec") or {}).get("nodeName", ""),
                    address=(pod.get("status") or {}).get("podIP", ""),
                    enrolled=annotations.get(REDIRECTION) == "enabled",
                )
            )
        return tuple(sorted(made, key=lambda workload: workload.label))

    def load_report(self) -> LoadReport:
        """What the load generator wrote since the last call."""
        events: list[_LoadEvent] = []
        for workload in self.workloads():
            if workload.application == shop.LOAD:
                events += self._load_events(self.layout.pod_log(shop.NAMESPACE, workload.pod, shop.LOAD))
        medians = [event.p50_ms for event in events if event.failed < event.count]
        return LoadReport(
            requests=sum(event.count for event in events),
            failed=sum(event.failed for event in events),
            median_ms=statistics.median(medians) if medians else 0,
        )

    def log_ends(self) -> dict[str, list[str]]:
        """The last lines of each process' log, by its name."""
        logs = [*self.layout.logs.rglob("*.log"), *self.layout.nodes.glob("*/envoy.log")]
        return {str(path.relative_to(self.layout.state_dir)): _last_lines(path) for path in sorted(logs)}

    def wait_until(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Poll until `condition` holds; after `seconds` raise what is wrong."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise UnavailableError(f"{otherwise} after {seconds:g} s; logs are in {self.layout.logs}")
            time.sleep(_POLL_SECONDS)

    def _load_events(self, path: Path) -> list[_LoadEvent]:
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._load_offsets.get(path, 0))
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        self._load_offsets[path] = self._load_offsets.get(path, 0) + len(complete)
        lines = [line for line in complete.splitlines() if b'"requests"' in line]
        return [msgspec.json.decode(line, type=_LoadEvent) for line in lines]

    def _sidestep(self, command: str, *arguments: str, given: str | None = None, show: bool = False) -> None:
        """Run one command. It gets no Ctrl-C from the terminal: that ends the demo, which then ends the command."""
        line = [sys.executable, "-m", "sidestep", command, f"--state-dir={self.layout.state_dir}", *arguments]
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if show else subprocess.PIPE,
            text=True,
            env=_environment(),
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(given)
        except BaseException:
            process.terminate()
            process.communicate()
            raise
        if process.returncode:
            raise failure(command, process.returncode, (errors or output).strip().splitlines())


def failure(command: str, code: int, said: Sequence[str]) -> LocalError:
    """The error of a command that failed, with its last words and its exit code."""
    reason = said[-1].removeprefix("sidestep: ") if said else "its message is above"
    error = LocalError(f"`sidestep {command}` failed: {reason}")
    error.code = ExitCode(code) if code in set(ExitCode) else ExitCode.FAILURE
    return error


def _last_lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()[-_LOG_LINES:]


def _environment() -> dict[str, str]:
    """Pods run `python3`: ours serves where the host has none."""
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{path}{os.pathsep}{Path(sys.executable).parent}"}
