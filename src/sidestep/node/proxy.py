"""How the node proxy's Envoy is started."""

from __future__ import annotations

from sidestep.envoy.binary import find_binary
from sidestep.envoy.bootstrap import BootstrapOptions, bootstrap
from sidestep.envoy.capabilities import confined_prefix
from sidestep.envoy.options import EnvoyOptions
from sidestep.node.options import NodeOptions

_RUNTIME = {
    # The end of a tunnel looks like a reset to the listener before it. Passed on as a reset, it would throw away the
    # bytes that are still on their way to the application. The price: applications see resets as ends, everywhere.
    "envoy.reloadable_features.propagate_upstream_rst_through_tunneled_tcp_proxy": False,
    # With it the far end of a tunnel resets a stream whose application closed first, and bytes are lost again.
    "envoy.reloadable_features.allow_multiplexed_upstream_half_close": False,
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
