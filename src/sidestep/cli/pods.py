"""`exec` and `logs`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidestep.cli.arguments import STATE_DIR, Namespace, StateDir, running
from sidestep.local.errors import NoInputError, OperatingSystemError, UnavailableError
from sidestep.local.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidestep.local.processes import ProcessRecord
    from sidestep.local.store import Store

_Target = Annotated[str, typer.Argument(help="A pod, or deploy/NAME for one of a Deployment's pods.")]
_Container = Annotated[str, typer.Option("--container", "-c", help="A container of the pod; the first by default.")]


def execute(
    *,
    target: _Target,
    command: Annotated[list[str], typer.Argument(help="What to run, after --.")],
    namespace: Namespace = "default",
    container: _Container = "",
    stdin: Annotated[bool, typer.Option("-i", hidden=True)] = False,  # noqa: ARG001 - kubectl's habit
    tty: Annotated[bool, typer.Option("-t", hidden=True)] = False,  # noqa: ARG001 - kubectl's habit
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Run a command inside a pod; its exit code is the command's."""
    from sidestep.local.container_command import join_command
    from sidestep.local.store import Store

    layout, _ = running(state_dir)
    name = resolve_pod(Store(layout), target, namespace)
    record = _container_of(layout, namespace, name, container)
    try:
        environment = _environment_of(record.pid)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise UnavailableError(f"the pod {name} does not run now: its container was just restarted") from error
    program = shutil.which("nsenter")
    if program is None:
        raise OperatingSystemError("nsenter is missing: on Debian, `apt-get install util-linux`")
    sys.stdout.flush()
    os.execve(program, join_command(record.pid, command), environment)  # noqa: S606 - no shell is wanted


def logs(
    target: Annotated[
        str, typer.Argument(help="A pod, deploy/NAME, or a process: controller, node-1, node-1/envoy, node-1/dns.")
    ],
    namespace: Namespace = "default",
    container: _Container = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Show what a pod or a process of the mesh wrote."""
    from sidestep.local import logs as log_files

    path = _log(Layout.of(state_dir), target, namespace, container)
    for chunk in log_files.follow(path) if follow else log_files.read(path):
        sys.stdout.buffer.write(chunk)
        if follow:
            sys.stdout.buffer.flush()


def resolve_pod(store: Store, target: str, namespace: str) -> str:
    """The name of the pod meant by `NAME`, `pod/NAME` or `deploy/NAME` (the oldest ready one)."""
    from sidestep.api.meta import ResourceKey
    from sidestep.api.registry import lookup
    from sidestep.local import deployments
    from sidestep.local.pod_status import is_ready

    prefix, separator, name = target.partition("/")
    info = lookup(prefix) if separator else None
    if separator and (info is None or info.kind not in ("Pod", "Deployment")):
        raise NoInputError(f"{target!r} is neither a pod nor deploy/NAME")
    kind = info.kind if info is not None else "Pod"
    name = name if separator else target
    resource = store.get(ResourceKey(kind=kind, namespace=namespace, name=name))
    if resource is None:
        raise NoInputError(f"there is no {kind} {name!r} in namespace {namespace}")
    if kind == "Pod":
        return name
    pods = [pod for pod in store.all("Pod").values() if deployments.owns(resource, pod)]
    if not pods:
        raise UnavailableError(f"the Deployment {name!r} has no pod now")
    best = min(pods, key=lambda pod: (not is_ready(pod), _created(pod)))
    return str(best["metadata"]["name"])


def _created(pod: Mapping[str, object]) -> str:
    metadata = pod["metadata"]
    return str(metadata.get("creationTimestamp", "")) if isinstance(metadata, dict) else ""


def _container_of(layout: Layout, namespace: str, pod: str, container: str) -> ProcessRecord:
    from sidestep.local.processes import Registry

    records = [
        record
        for record in Registry(layout.processes).alive()
        if record.role == "pod" and (record.namespace, record.pod) == (namespace, pod)
    ]
    chosen = [record for record in records if container in ("", record.container)]
    if not chosen:
        what = f"container {container!r} of pod {pod!r}" if container else f"pod {pod!r}"
        raise UnavailableError(f"{what} does not run now; see `sidestep get pods -n {namespace}`")
    return min(chosen, key=lambda record: record.since)


def _environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    environment = {}
    for pair in pairs:
        name, separator, value = pair.partition(b"=")
        if separator:
            environment[os.fsdecode(name)] = os.fsdecode(value)
    return environment | ({"TERM": os.environ["TERM"]} if "TERM" in os.environ else {})


def _log(layout: Layout, target: str, namespace: str, container: str) -> Path:
    """A pod's log wins over a process' of the same name."""
    from sidestep.local.store import Store

    try:
        pod = resolve_pod(Store(layout), target, namespace)
    except NoInputError:
        found = next((path for path in layout.process_logs(target) if path.exists()), None)
        if found is None:
            names = ", ".join(sorted(path.stem for path in layout.logs.glob("*.log"))) or "none yet"
            raise NoInputError(
                f"there is no pod {target!r} in namespace {namespace}, and no process of that name ({names})"
            ) from None
        return found
    folder = layout.logs / "pods" / namespace / pod
    if container:
        return folder / f"{container}.log"
    return next(iter(sorted(folder.glob("*.log"))), folder / "none.log")
