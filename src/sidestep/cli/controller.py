"""`sidestep controller`: the control plane as a process. `sidestep up` starts it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sidestep.cli.log import log_to_standard_error
from sidestep.cli.options import Options, duration
from sidestep.local.errors import BadDataError, UnavailableError, UsageError

if TYPE_CHECKING:
    from sidestep.controller.options import ControllerOptions


def controller(arguments: Sequence[str]) -> None:
    """Read resources, serve the mesh to node agents, sign their certificates."""
    given = _options().parse_args(arguments)

    # gRPC has no setting for TLS 1.3 only. These ciphers need an RSA leaf in TLS 1.2, and ours are all ECDSA: so no
    # TLS 1.2 handshake succeeds, while those of TLS 1.3 are not in this list's reach. Read when gRPC starts.
    os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"

    from sidestep.controller.runner import AddressInUseError, run_controller
    from sidestep.identity.core_dumps import forbid_core_dumps
    from sidestep.identity.errors import IdentityError
    from sidestep.identity.spiffe import InvalidSpiffeIdError, SpiffeId

    try:
        SpiffeId.controller(given.trust_domain)
    except InvalidSpiffeIdError as error:
        raise UsageError(f"--trust-domain: {error}") from error
    log_to_standard_error()
    forbid_core_dumps()
    try:
        run_controller(_controller_options(given))
    except IdentityError as error:
        raise BadDataError(str(error)) from error
    except AddressInUseError as error:
        raise UnavailableError(str(error)) from error


def _controller_options(given: argparse.Namespace) -> ControllerOptions:
    from sidestep.controller.options import ControllerOptions
    from sidestep.mesh.build import MeshSettings

    return ControllerOptions(
        resources=given.resources,
        state_dir=given.state_dir,
        join_tokens=given.join_tokens or given.state_dir / "join-tokens",
        address=given.address,
        port=given.port,
        join_port=given.join_port,
        metrics_address=given.metrics_address,
        metrics_port=given.metrics_port,
        ca_folder=given.ca_folder,
        certificate_lifetime=given.certificate_lifetime,
        settings=MeshSettings(
            trust_domain=given.trust_domain,
            cluster_id=given.cluster_id,
            network=given.network,
            domain=given.domain,
            root_namespace=given.root_namespace,
        ),
    )


def _options() -> Options:
    options = Options("controller", "Read resources, serve the mesh to node agents, sign their certificates.")
    add = options.add_argument
    add("--resources", type=Path, required=True, help="the folder of YAML that describes the mesh")
    add("--state-dir", type=Path, required=True, help="where the controller keeps its state")
    add("--join-tokens", type=Path, help="a folder with one token file a node")
    add("--address", default="127.0.0.1", help="where node agents reach it")
    add("--port", type=int, default=15012, help="xDS and CA service, mutual TLS")
    add("--join-port", type=int, default=15013, help="where nodes join")
    add("--metrics-address", default="127.0.0.1", help="where metrics and health are served")
    add("--metrics-port", type=int, default=15014, help="metrics and health")
    add("--ca-folder", type=Path, help="a certificate authority in Istio's cacerts layout")
    add("--certificate-lifetime", type=duration, default="24h", help="how long certificates live")
    add("--trust-domain", default="cluster.local", help="the mesh's trust domain")
    add("--cluster-id", default="Kubernetes", help="this cluster's name")
    add("--network", default="", help="this cluster's network")
    add("--domain", default="cluster.local", help="the cluster's DNS domain")
    add("--root-namespace", default="istio-system", help="policies here cover the whole mesh")
    return options
