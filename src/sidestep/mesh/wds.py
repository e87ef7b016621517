"""WDS: the mesh model ⇄ the messages `istio.workload.Address` and `istio.security.Authorization`."""

from __future__ import annotations

from sidestep.mesh.model import Policy, Service, Workload
from sidestep.wire import istio


class InvalidMessage(ValueError):  # noqa: N818 - reads well where it is raised
    """Bytes that are no message of the type, or one that the model cannot hold; the text says why."""


def encode_workload(workload: Workload) -> istio.Address:
    """As a resource of type `istio.workload.Address`."""
    raise NotImplementedError


def encode_service(service: Service) -> istio.Address:
    """As a resource of type `istio.workload.Address`."""
    raise NotImplementedError


def encode_policy(policy: Policy) -> istio.Authorization:
    """As a resource of type `istio.security.Authorization`."""
    raise NotImplementedError


def decode_address(body: bytes) -> Workload | Service:
    """The workload or service in a serialised `istio.workload.Address`; raises InvalidMessage."""
    raise NotImplementedError


def decode_policy(body: bytes) -> Policy:
    """The policy in a serialised `istio.security.Authorization`; raises InvalidMessage."""
    raise NotImplementedError


def resource_name(item: Workload | Service | Policy) -> str:
    """Its name on the wire: a workload's uid, a service's or policy's `namespace/…`."""
    raise NotImplementedError


def aliases(item: Workload | Service) -> tuple[str, ...]:
    """The other names by which it may be asked for: `network/address` of each address."""
    raise NotImplementedError
