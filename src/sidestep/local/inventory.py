"""What `status` tells: every process of the instance, its pods, its problems. Blocking."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sidestep.local import cleanup, namespaces
from sidestep.local.agent_client import AgentClient
from sidestep.local.errors import LocalError
from sidestep.local.instance import Instance, NodePlan
from sidestep.local.layout import Layout
from sidestep.local.merge import REDIRECTION
from sidestep.local.pod_status import is_ready
from sidestep.local.processes import ProcessRecord, Registry
from sidestep.local.store import Store
from sidestep.local.waiting import reason_of
from sidestep.wire import agent


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One node, as its agent sees it."""

    name: str
    address: str
    network_namespace: str
    pod_range: str
    ready: bool
    reason: str
    controller_connected: bool
    rejections: tuple[str, ...]


class PodSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One pod."""

    namespace: str
    name: str
    node: str
    addresses: tuple[str, ...]
    phase: str
    ready: bool
    in_mesh: bool
    network_namespace: str
    reason: str = ""
    """Why it is not ready."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything."""

    instance: str
    state_dir: str
    nodes: tuple[NodeStatus, ...]
    processes: tuple[ProcessRecord, ...]
    pods: tuple[PodSummary, ...]
    problems: tuple[Any, ...]


def take(layout: Layout, instance: Instance) -> Status:
    """The instance as it is now."""
    agents = asyncio.run(_ask_agents(layout, instance))
    nodes, envoys = [n for n, _ in agents], [e for _, records in agents for e in records]
    known = [*Registry(layout.processes).alive(), *envoys]
    processes = [*known, *_dns_servers(instance, {record.pid for record in known})]
    return Status(
        instance=instance.id,
        state_dir=str(layout.state_dir),
        nodes=tuple(nodes),
        processes=tuple(processes),
        pods=tuple(summaries(Store(layout).all("Pod").values(), instance)),
        problems=problems(layout),
    )


def summaries(pods: Iterable[Mapping[str, Any]], instance: Instance) -> Iterable[PodSummary]:
    """Of Pod documents. Pure."""
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status") or {}
        ready = is_ready(pod)
        yield PodSummary(
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            node=(pod.get("spec") or {}).get("nodeName", ""),
            addresses=tuple(entry["ip"] for entry in status.get("podIPs") or ()),
            phase=status.get("phase", "Pending"),
            ready=ready,
            in_mesh=(metadata.get("annotations") or {}).get(REDIRECTION) == "enabled",
            network_namespace=instance.pod_namespace(metadata.get("uid", "")),
            reason="" if ready else reason_of(pod),
        )


def problems(layout: Layout) -> tuple[Any, ...]:
    """What the controller complains about: resources that are wrong, what nodes refused, a build that failed."""
    try:
        report = msgspec.json.decode(layout.controller_status.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return ()
    failure = [{"message": report["failure"]}] if report.get("failure") else []
    return (*failure, *report.get("problems", ()), *report.get("rejections", ()))


async def _ask_agents(layout: Layout, instance: Instance) -> list[tuple[NodeStatus, list[ProcessRecord]]]:
    return list(await asyncio.gather(*(_ask_agent(layout, instance, name) for name in instance.nodes)))


async def _ask_agent(layout: Layout, instance: Instance, name: str) -> tuple[NodeStatus, list[ProcessRecord]]:
    plan = instance.node(name)
    client = AgentClient(layout.agent_socket(name), name)
    records: list[ProcessRecord] = []
    ready = connected = False
    rejections: tuple[str, ...] = ()
    try:
        answer = await client.status(timeout=2)
    except LocalError as error:
        reason = str(error)
    else:
        ready, reason, connected = answer.ready, answer.reason, answer.controller_connected
        rejections = tuple(f"{_kind(r.type_url)} {r.resource}: {r.message}" for r in answer.rejections)
        records = [_envoy(layout, plan, envoy) for envoy in answer.envoys]
    finally:
        await client.close()
    status = NodeStatus(
        name=name,
        address=str(plan.address),
        network_namespace=plan.namespace,
        pod_range=str(plan.pods),
        ready=ready,
        reason=reason,
        controller_connected=connected,
        rejections=rejections,
    )
    return status, records


def _kind(type_url: str) -> str:
    """`Listener` of `type.googleapis.com/envoy.config.listener.v3.Listener`."""
    return type_url.rpartition(".")[2]


def _envoy(layout: Layout, plan: NodePlan, envoy: agent.EnvoyProcess) -> ProcessRecord:
    """A draining Envoy answers no admin call any more."""
    admin = "" if envoy.draining else f"unix:{layout.envoy_admin(plan.name)}"
    return ProcessRecord(
        role="envoy",
        name=f"{plan.name}/{envoy.epoch}" + ("/draining" if envoy.draining else ""),
        pid=envoy.pid,
        since=started_at(envoy.pid),
        node=plan.name,
        metrics=f"{admin}:/stats/prometheus" if admin else "",
        admin=admin,
    )


def _dns_servers(instance: Instance, known: set[int]) -> list[ProcessRecord]:
    """Started by the agents, so they are in no registry of ours: found by their command line."""
    found = []
    for pid in cleanup.find_processes(instance.id) - known:
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if command[1:4] == [b"-m", b"sidestep", b"dns"]:
                inode = Path(f"/proc/{pid}/ns/net").stat().st_ino
                node = next((p.name for p in instance.node_plans() if namespaces.inode(p.namespace) == inode), "")
                found.append(ProcessRecord(role="dns", name=f"dns-{node}", pid=pid, since=started_at(pid), node=node))
    return found


def started_at(pid: int) -> float:
    """When a process started, in seconds since the epoch; 0 when it is gone."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
