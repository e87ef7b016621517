"""A mesh on this host, driven as a person would: through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PAUSE = 0.05


class Mesh:
    """One `sidestep up`, with its own state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def run(self, *arguments: str, check: bool = True, seconds: float = 120, given: str | None = None) -> str:
        """Output of `sidestep ARGUMENTS`; AssertionError with all it said when it fails."""
        done = self.attempt(*arguments, seconds=seconds, given=given)
        assert not check or done.returncode == 0, (
            f"sidestep {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        )
        return done.stdout

    def attempt(
        self, *arguments: str, seconds: float = 120, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`sidestep ARGUMENTS`, whatever comes of it."""
        command, *rest = arguments
        return subprocess.run(
            [sys.executable, "-m", "sidestep", command, f"--state-dir={self.state_dir}", *rest],
            capture_output=True,
            text=True,
            timeout=seconds,
            input=given,
            check=False,
        )

    def up(self, *files: Path, nodes: int = 2, options: Sequence[str] = ()) -> None:
        """Starts, and waits until everything is ready."""
        named = [argument for file in files for argument in ("-f", str(file))]
        self.run("up", f"--nodes={nodes}", "--detach", "--wait=90", *named, *options, seconds=150)

    def down(self) -> None:
        """Ends everything."""
        self.run("down", seconds=60)

    def apply(self, text: str) -> None:
        """Applies manifests."""
        self.run("apply", "-f", "-", given=text)

    def exec(self, pod: str, *command: str, check: bool = True, seconds: float = 60) -> str:
        """Output of a command in a pod, `NAMESPACE/POD` or a pod of the default namespace."""
        namespace, _, name = pod.rpartition("/")
        return self.run("exec", name, "-n", namespace or "default", "--", *command, check=check, seconds=seconds)

    def start(self, pod: str, *command: str) -> subprocess.Popen[str]:
        """A command in a pod that goes on."""
        namespace, _, name = pod.rpartition("/")
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "sidestep", "exec", f"--state-dir={self.state_dir}"),
                *(name, "-n", namespace or "default", "--", *command),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self) -> Any:
        """What `status -o json` says."""
        return json.loads(self.run("status", "-o", "json"))

    def pid(self, role: str, node: str = "") -> int:
        """The process with that role."""
        found = [
            process["pid"]
            for process in self.status()["processes"]
            if process["role"] == role and (not node or process.get("node") == node)
        ]
        assert len(found) == 1, f"{len(found)} processes with role {role} {node}"
        return int(found[0])

    def envoys(self, node: str) -> list[Any]:
        """The living Envoys of a node, draining ones included."""
        return [each for each in self.status()["processes"] if each["role"] == "envoy" and each.get("node") == node]

    def pid_of_serving_envoy(self, node: str) -> int:
        """The one that is not draining."""
        return int(next(each["pid"] for each in self.envoys(node) if not each.get("draining")))

    def pod(self, name: str, namespace: str = "default") -> Any:
        """The Pod resource."""
        return json.loads(self.run("get", "pod", name, "-n", namespace, "-o", "json"))

    def address(self, name: str, namespace: str = "default") -> str:
        """The pod's first address."""
        return str(self.pod(name, namespace)["status"]["podIP"])

    def access_log(self, node: str) -> list[dict[str, Any]]:
        """The lines of a node proxy's access log."""
        path = self.state_dir / "nodes" / node / "access.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def logs(self) -> str:
        """The ends of all logs, for a failed test's message."""
        files = sorted(self.state_dir.rglob("*.log"))
        return "\n".join(f"--- {file}\n{file.read_text(errors='replace')[-3000:]}" for file in files)


def eventually(condition: Callable[[], object], *, seconds: float = 20, what: str = "the condition") -> None:
    """Waits until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        time.sleep(PAUSE)


def alive(pid: int) -> bool:
    """Whether the process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
