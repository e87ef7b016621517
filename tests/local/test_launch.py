import datetime as dt
from pathlib import Path

from sidestep.local import launch
from sidestep.local.instance import Instance, node_names
from sidestep.local.layout import Layout
from sidestep.local.options import UpOptions

INSTANCE = Instance(id="abcdef", slot=1, nodes=node_names(2))


def test_the_controller_listens_where_nodes_reach_it(tmp_path: Path) -> None:
    command = launch.controller(Layout.of(tmp_path), INSTANCE, UpOptions(ca_folder=Path("/ca"))).command
    assert "--address=172.30.1.1" in command
    assert "--metrics-address=127.0.0.1" in command
    assert "--ca-folder=/ca" in command
    assert not any(part.startswith("--certificate-lifetime") for part in command)


def test_an_agent_knows_the_ranges_and_what_in_them_is_no_pod(tmp_path: Path) -> None:
    options = UpOptions(certificate_lifetime=dt.timedelta(seconds=12.5), force_hbone=True, concurrency=3)
    plan = launch.agent(Layout.of(tmp_path), INSTANCE.node("node-2"), options)
    assert plan.network_namespace == "ssabcdef-node-2"
    ranges = {part.partition("=")[2] for part in plan.command if part.startswith("--mesh-cidr")}
    assert {"10.243.0.0/16", "10.97.0.0/16"} < ranges
    assert len(ranges) == 4
    assert {"--outside=10.243.1.1", "--outside=10.243.2.1", "--dns-address=10.243.2.1"} <= set(plan.command)
    assert {"--certificate-lifetime=12500ms", "--force-hbone", "--concurrency=3"} <= set(plan.command)


def test_both_get_the_same_lifetime(tmp_path: Path) -> None:
    options = UpOptions(certificate_lifetime=dt.timedelta(seconds=12.5))
    command = launch.controller(Layout.of(tmp_path), INSTANCE, options).command
    assert "--certificate-lifetime=12500ms" in command
