"""AuthorizationPolicy (security.istio.io): who may connect to, or call, what.

Rules are alternatives. In a rule, one of `from`, one of `to` and all of `when` must match; in an entry, all fields.
The distinction that matters most: no rules match nothing, an empty rule matches everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import msgspec

from sidestep.api.istio.selector import TargetReference, WorkloadSelector
from sidestep.api.meta import Finding, Resource, StrictModel

Action = Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"]


class Source(StrictModel, frozen=True, kw_only=True):
    """Who connects. Texts may be exact, `prefix*`, `*suffix` or `*` (anything but nothing)."""

    principals: tuple[str, ...] = ()
    """`<trust domain>/ns/<namespace>/sa/<service account>`."""
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    """`<issuer>/<subject>` of a JWT."""
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    """`<namespace>/<name>`, or `<name>` in the policy's own namespace."""
    not_service_accounts: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


class Operation(StrictModel, frozen=True, kw_only=True):
    """What is asked for. Only ports are known at layer 4."""

    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class From(StrictModel, frozen=True, kw_only=True):
    """One alternative of a rule's `from`."""

    source: Source


class To(StrictModel, frozen=True, kw_only=True):
    """One alternative of a rule's `to`."""

    operation: Operation


class When(StrictModel, frozen=True, kw_only=True):
    """A condition on an attribute such as `source.ip` or `request.headers[x]`."""

    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class Rule(StrictModel, frozen=True, kw_only=True):
    """None (not given) matches everything; Istio refuses an empty list."""

    from_: tuple[From, ...] | None = msgspec.field(default=None, name="from")
    to: tuple[To, ...] | None = None
    when: tuple[When, ...] | None = None


class Provider(StrictModel, frozen=True, kw_only=True):
    """Who decides for action CUSTOM."""

    name: str


class AuthorizationPolicySpec(StrictModel, frozen=True, kw_only=True):
    """What the policy covers, and its rules."""

    selector: WorkloadSelector | None = None
    target_ref: TargetReference | None = None
    target_refs: tuple[TargetReference, ...] = ()
    rules: tuple[Rule, ...] = ()
    action: Action = "ALLOW"
    provider: Provider | None = None


class AuthorizationPolicy(Resource, frozen=True, kw_only=True):
    """A policy of the mesh (root namespace), a namespace, selected workloads, or the targets it names."""

    KIND: ClassVar[str] = "AuthorizationPolicy"
    API_VERSION: ClassVar[str] = "security.istio.io/v1"

    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()

    @property
    def targets(self) -> tuple[TargetReference, ...]:
        """`targetRefs`, or the older single `targetRef`."""
        single = () if self.spec.target_ref is None else (self.spec.target_ref,)
        return self.spec.target_refs or single

    def value_findings(self) -> Iterator[Finding]:
        # a module of its own: the rules are many
        from sidestep.api.istio.policy_rules import policy_findings

        return policy_findings(self.spec, self.metadata.namespace)
