"""`sidestep node`: the agent of one node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sidestep.cli.log import log_to_standard_error
from sidestep.cli.options import Options, duration


def node(arguments: Sequence[str]) -> None:
    """Run the agent of one node: it enrols pods, holds their keys, and runs the node's Envoy."""
    given = vars(_options().parse_args(arguments))

    import asyncio

    from sidestep.identity.core_dumps import forbid_core_dumps
    from sidestep.node.options import NodeOptions
    from sidestep.node.runner import run_node

    log_to_standard_error()
    forbid_core_dumps()
    several = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    asyncio.run(run_node(NodeOptions(**(given | several))))


def _options() -> Options:
    options = Options("node", "Run the agent of one node: it enrols pods, holds their keys, and runs the node's Envoy.")
    add = options.add_argument
    add("--name", required=True, help="name of the node")
    add("--state-dir", type=Path, required=True, help="the agent's own folder")
    add("--controller", required=True, help="host:port of the controller (mTLS)")
    add("--join", required=True, help="host:port where nodes join")
    add("--root-certificate", type=Path, required=True, help="PEM file with the mesh's root")
    add("--token-file", type=Path, required=True, help="file with this node's join token")
    add("--mesh-cidr", action="append", required=True, help="range of pods or services; may be repeated")
    add("--outside", action="append", default=[], help="address in those ranges that is no pod; may be repeated")
    add("--dns-address", default="", help="where to serve the node's cluster DNS")
    add("--upstream-dns", action="append", default=[], help="resolver for other names; may be repeated")
    add("--trust-domain", default="cluster.local", help="the mesh's trust domain")
    add("--cluster-id", default="Kubernetes", help="the cluster's name")
    add("--domain", default="cluster.local", help="DNS domain of services")
    add("--region", default="", help="where the node is")
    add("--zone", default="", help="where in the region")
    add("--force-hbone", action="store_true", help="encrypt same-node traffic, too")
    add("--concurrency", type=int, choices=range(1, 129), metavar="1..128", default=2, help="Envoy's worker threads")
    add("--certificate-lifetime", type=duration, default="24h", help="how long certificates live")
    add("--metrics-address", default="127.0.0.1", help="where metrics and health are served")
    add("--metrics-port", type=int, default=15020, help="metrics and health")
    return options
