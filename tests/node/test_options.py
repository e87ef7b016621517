"""What a node is told, and what its settings make of it."""

from pathlib import Path

from sidestep.mesh.allocation import allocate, ipv6_of
from sidestep.node.options import NodeOptions
from sidestep.node.translator.node_proxy import outside_ranges


def test_allocated_addresses_are_addresses_of_the_mesh() -> None:
    """No listener has to name them one by one, and none of them is ever dialled."""
    options = NodeOptions(
        name="node-1",
        state_dir=Path("/state"),
        controller="172.30.0.1:15012",
        join="172.30.0.1:15013",
        root_certificate=Path("/root.pem"),
        token_file=Path("/token"),
        mesh_cidr=("10.244.0.0/16",),
    )
    [address] = allocate(["shop/entry/example.com"], {}).values()
    assert list(outside_ranges(options.settings, [address, ipv6_of(address), "10.244.1.5", "198.51.100.7"])) == [
        "198.51.100.7"
    ]
