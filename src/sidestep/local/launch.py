"""Command lines of the processes that the runtime starts. Pure."""

from __future__ import annotations

import sys

from sidestep.local.instance import Instance, NodePlan
from sidestep.local.layout import Layout
from sidestep.local.options import UpOptions
from sidestep.local.processes import ProcessPlan

CONTROLLER_PORT = 15012
JOIN_PORT = 15013
NODE_METRICS_PORT = 15020


def controller(layout: Layout, instance: Instance, options: UpOptions) -> ProcessPlan:
    """The controller, in the host's network namespace; only the nodes reach it."""
    arguments = [
        *_sidestep("controller"),
        f"--resources={layout.resources}",
        f"--state-dir={layout.state_dir}",
        f"--address={instance.host_address}",
        f"--port={CONTROLLER_PORT}",
        f"--join-port={JOIN_PORT}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={instance.controller_metrics_port}",
        f"--join-tokens={layout.join_tokens}",
        f"--domain={instance.domain}",
        f"--trust-domain={options.trust_domain}",
    ]
    # the controller bounds what nodes ask for, and its own certificate: the same for all
    arguments += _lifetime(options)
    if options.ca_folder is not None:
        arguments.append(f"--ca-folder={options.ca_folder}")
    return ProcessPlan(
        role="controller",
        name="controller",
        command=tuple(arguments),
        log=layout.logs / "controller.log",
        metrics=controller_metrics(instance) + "/metrics",
        admin=controller_metrics(instance) + "/status",
    )


def controller_metrics(instance: Instance) -> str:
    """The base of the controller's pages."""
    return f"http://127.0.0.1:{instance.controller_metrics_port}"


def agent(layout: Layout, plan: NodePlan, options: UpOptions) -> ProcessPlan:
    """A node's agent, in the node's network namespace."""
    instance = plan.instance
    ranges = [instance.pod_range, instance.service_range]
    ranges6 = [instance.pod_range6, instance.service_range6] if instance.ipv6 else []
    arguments = [
        *_sidestep("node"),
        f"--name={plan.name}",
        f"--state-dir={layout.node(plan.name)}",
        f"--controller={instance.host_address}:{CONTROLLER_PORT}",
        f"--join={instance.host_address}:{JOIN_PORT}",
        f"--root-certificate={layout.root_certificate}",
        f"--token-file={layout.join_tokens / plan.name}",
        *(f"--mesh-cidr={network}" for network in (*ranges, *ranges6)),
        f"--dns-address={plan.gateway}",
        *(f"--outside={address}" for address in _gateways(instance)),
        f"--domain={instance.domain}",
        f"--metrics-address={plan.address}",
        f"--metrics-port={NODE_METRICS_PORT}",
        f"--trust-domain={options.trust_domain}",
    ]
    arguments += _lifetime(options)
    if options.force_hbone:
        arguments.append("--force-hbone")
    if options.concurrency:
        arguments.append(f"--concurrency={options.concurrency}")
    return ProcessPlan(
        role="node",
        name=plan.name,
        node=plan.name,
        command=tuple(arguments),
        log=layout.logs / f"{plan.name}.log",
        network_namespace=plan.namespace,
        metrics=f"http://{plan.address}:{NODE_METRICS_PORT}/metrics",
        admin=f"unix:{layout.agent_socket(plan.name)}",
    )


def _lifetime(options: UpOptions) -> list[str]:
    if options.certificate_lifetime is None:
        return []
    return [f"--certificate-lifetime={round(options.certificate_lifetime.total_seconds() * 1000)}ms"]


def _gateways(instance: Instance) -> list[str]:
    """The nodes' own addresses on their pod bridges: inside the pods' ranges, but no pods."""
    found = [str(plan.gateway) for plan in instance.node_plans()]
    return found + ([str(plan.gateway6) for plan in instance.node_plans()] if instance.ipv6 else [])


def _sidestep(command: str) -> list[str]:
    return [sys.executable, "-m", "sidestep", command]
