"""How the node proxy's Envoy is started."""

from __future__ import annotations

from sidestep.envoy.binary import find_binary
from sidestep.envoy.bootstrap import BootstrapOptions, bootstrap
from sidestep.envoy.capabilities import confined_prefix
from sidestep.envoy.options import EnvoyOptions
from sidestep.node.options import NodeOptions

_RUNTIME = {
    # An internal connection that is closed after its last byte must not look like a reset: the bytes would be lost.
    "envoy.reloadable_features.enable_send_rst_on_user_space_socket": False,
}


def envoy_options(options: NodeOptions) -> EnvoyOptions:
    """The node proxy: few capabilities, its configuration from the agent's socket."""
    folder = options.state_dir / "envoy"
    return EnvoyOptions(
        binary=find_binary(),
        bootstrap=bootstrap(
            BootstrapOptions(
                node_id=f"node-proxy~{options.name}",
                node_cluster="node-proxy",
                xds_socket=options.xds_socket,
                admin_socket=folder / "admin.sock",
                runtime=_RUNTIME,
            )
        ),
        folder=folder,
        log_path=options.state_dir / "envoy.log",
        command_prefix=confined_prefix(),
        concurrency=options.concurrency,
        node_name=options.name,
    )
