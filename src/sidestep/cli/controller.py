"""`sidestep controller`: the control plane as a process. `sidestep up` starts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sidestep.cli.log import log_to_standard_error
from sidestep.local.errors import BadDataError, UnavailableError, UsageError


def controller(
    *,
    resources: Annotated[Path, typer.Option(help="The folder of YAML that describes the mesh.")],
    state_dir: Annotated[Path, typer.Option(help="Where the controller keeps its state.")],
    join_tokens: Annotated[Path | None, typer.Option(help="A folder with one token file a node.")] = None,
    address: Annotated[str, typer.Option(help="Where node agents reach it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="xDS and CA service, mutual TLS.")] = 15012,
    join_port: Annotated[int, typer.Option(help="Where nodes join.")] = 15013,
    metrics_address: Annotated[str, typer.Option(help="Where metrics and health are served.")] = "127.0.0.1",
    metrics_port: Annotated[int, typer.Option(help="Metrics and health.")] = 15014,
    ca_folder: Annotated[Path | None, typer.Option(help="A CA in Istio's cacerts layout.")] = None,
    certificate_lifetime: Annotated[str, typer.Option(help="How long certificates live, e.g. 24h.")] = "24h",
    trust_domain: Annotated[str, typer.Option(help="The mesh's trust domain.")] = "cluster.local",
    cluster_id: Annotated[str, typer.Option(help="This cluster's name.")] = "Kubernetes",
    network: Annotated[str, typer.Option(help="This cluster's network.")] = "",
    domain: Annotated[str, typer.Option(help="The cluster's DNS domain.")] = "cluster.local",
    root_namespace: Annotated[str, typer.Option(help="Policies here cover the whole mesh.")] = "istio-system",
) -> None:
    """Read resources, serve the mesh to node agents, sign their certificates."""
    # gRPC has no setting for TLS 1.3 only. These ciphers need an RSA leaf in TLS 1.2, and ours are all ECDSA: so no
    # TLS 1.2 handshake succeeds, while those of TLS 1.3 are not in this list's reach. Read when gRPC starts.
    os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"

    from sidestep.controller.options import ControllerOptions
    from sidestep.controller.runner import AddressInUseError, run_controller
    from sidestep.identity.core_dumps import forbid_core_dumps
    from sidestep.identity.duration import parse_duration
    from sidestep.identity.errors import IdentityError
    from sidestep.identity.spiffe import InvalidSpiffeIdError, SpiffeId
    from sidestep.mesh.build import MeshSettings

    try:
        lifetime = parse_duration(certificate_lifetime)
        SpiffeId.controller(trust_domain)
    except InvalidSpiffeIdError as error:
        raise UsageError(f"--trust-domain: {error}") from error
    except ValueError as error:
        raise UsageError(f"--certificate-lifetime: {error}") from error
    options = ControllerOptions(
        resources=resources,
        state_dir=state_dir,
        join_tokens=join_tokens or state_dir / "join-tokens",
        address=address,
        port=port,
        join_port=join_port,
        metrics_address=metrics_address,
        metrics_port=metrics_port,
        ca_folder=ca_folder,
        certificate_lifetime=lifetime,
        settings=MeshSettings(
            trust_domain=trust_domain,
            cluster_id=cluster_id,
            network=network,
            domain=domain,
            root_namespace=root_namespace,
        ),
    )
    log_to_standard_error()
    forbid_core_dumps()
    try:
        run_controller(options)
    except IdentityError as error:
        raise BadDataError(str(error)) from error
    except AddressInUseError as error:
        raise UnavailableError(str(error)) from error
