"""Checks of an AuthorizationPolicy: what Istio refuses, we refuse.

An empty `from`, `source`, `to`, `operation` or condition is refused rather than guessed at: one reading of it admits
everybody, the other nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sidestep.api import validate
from sidestep.api.istio.authorization_policy import AuthorizationPolicySpec, Operation, Rule, Source, When
from sidestep.api.istio.selector import selector_findings, target_findings
from sidestep.api.meta import Finding, Path

ATTRIBUTES = (
    "source.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "remote.ip",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
)
"""Keys of conditions; beside them `request.headers[…]`, `request.auth.claims[…]` and `experimental.envoy.filters.…`."""
_INDEXED = re.compile(
    r"request\.headers\[[^\[\]]+\]|request\.auth\.claims(\[[^\[\]]+\])+|experimental\.envoy\.filters\..+"
)
_BLOCK_ATTRIBUTES = frozenset({"source.ip", "remote.ip", "destination.ip"})


def policy_findings(spec: AuthorizationPolicySpec, namespace: str) -> Iterator[Finding]:
    """All that is wrong."""
    yield from selector_findings(spec.selector, ("spec", "selector"))
    yield from _scope_findings(spec, namespace)
    yield from _action_findings(spec)
    for index, rule in enumerate(spec.rules):
        yield from _rule_findings(rule, ("spec", "rules", index))


def _scope_findings(spec: AuthorizationPolicySpec, namespace: str) -> Iterator[Finding]:
    given = [
        name
        for name, value in (
            ("selector", spec.selector),
            ("targetRef", spec.target_ref),
            ("targetRefs", spec.target_refs),
        )
        if value
    ]
    if len(given) > 1:
        yield Finding(("spec", given[1]), f"there is a {given[0]} as well; leave out one of the two")
    if spec.target_ref is not None:
        yield from target_findings(spec.target_ref, namespace, ("spec", "targetRef"))
    for index, target in enumerate(spec.target_refs):
        yield from target_findings(target, namespace, ("spec", "targetRefs", index))


def _action_findings(spec: AuthorizationPolicySpec) -> Iterator[Finding]:
    if spec.action == "CUSTOM":
        if spec.provider is None or not spec.provider.name:
            yield Finding(("spec", "provider"), "missing; action CUSTOM needs the name of who decides")
        if not spec.rules:
            yield Finding(("spec", "rules"), "missing; action CUSTOM needs rules, or [{}] for every request")
    elif spec.provider is not None:
        yield Finding(("spec", "provider"), f"only for action CUSTOM, not for {spec.action}; leave it out")


def _rule_findings(rule: Rule, path: Path) -> Iterator[Finding]:
    for field, entries in (("from", rule.from_), ("to", rule.to), ("when", rule.when)):
        if entries is not None and not entries:
            yield Finding((*path, field), "empty; leave it out to match everything, or give an entry")
    for index, source in enumerate(rule.from_ or ()):
        yield from _source_findings(source.source, (*path, "from", index, "source"))
    for index, operation in enumerate(rule.to or ()):
        yield from _operation_findings(operation.operation, (*path, "to", index, "operation"))
    for index, condition in enumerate(rule.when or ()):
        yield from _condition_findings(condition, (*path, "when", index))


def _source_findings(source: Source, path: Path) -> Iterator[Finding]:
    yield from _value_findings(source, path)
    blocks = (
        ("ipBlocks", source.ip_blocks),
        ("notIpBlocks", source.not_ip_blocks),
        ("remoteIpBlocks", source.remote_ip_blocks),
        ("notRemoteIpBlocks", source.not_remote_ip_blocks),
    )
    for field, values in blocks:
        yield from _blocks(values, (*path, field))
    accounts = (("serviceAccounts", source.service_accounts), ("notServiceAccounts", source.not_service_accounts))
    for field, values in accounts:
        for index, value in enumerate(values):
            yield from _account_findings(value, (*path, field, index))
        others = source.principals or source.not_principals or source.namespaces or source.not_namespaces
        if values and others:
            yield Finding((*path, field), "cannot stand beside principals or namespaces; use one way to name clients")


def _account_findings(value: str, path: Path) -> Iterator[Finding]:
    namespace, separator, name = value.rpartition("/")
    if "*" in value:
        yield Finding(path, f"{validate.shown(value)} has a wildcard; use principals for those")
        return
    if separator:
        yield from validate.label_name(namespace, path)
    yield from validate.name(name, path)


def _operation_findings(operation: Operation, path: Path) -> Iterator[Finding]:
    yield from _value_findings(operation, path)
    for field, values in (("ports", operation.ports), ("notPorts", operation.not_ports)):
        for index, value in enumerate(values):
            yield from _port_findings(value, (*path, field, index))
    for field, values in (("paths", operation.paths), ("notPaths", operation.not_paths)):
        for index, value in enumerate(values):
            if "{" in value and not _is_path_template(value):
                yield Finding(
                    (*path, field, index),
                    f"{validate.shown(value)} is no path template; {{*}} stands for one segment, {{**}} for the rest",
                )


def _is_path_template(value: str) -> bool:
    parts = value.split("/")
    return all(part in ("{*}", "{**}") or not set(part) & set("{}*") for part in parts) and parts.count("{**}") <= 1


def _condition_findings(condition: When, path: Path) -> Iterator[Finding]:
    if condition.key not in ATTRIBUTES and not _INDEXED.fullmatch(condition.key):
        yield Finding(
            (*path, "key"),
            f"{validate.shown(condition.key)} is no attribute; there are {', '.join(ATTRIBUTES)}, "
            "request.headers[name] and request.auth.claims[name]",
        )
    if not condition.values and not condition.not_values:
        yield Finding((*path, "values"), "there are neither values nor notValues; give one of them")
    for field, values in (("values", condition.values), ("notValues", condition.not_values)):
        yield from _text_findings(values, (*path, field))
        if condition.key in _BLOCK_ATTRIBUTES:
            yield from _blocks(values, (*path, field))
        elif condition.key == "destination.port":
            for index, value in enumerate(values):
                yield from _port_findings(value, (*path, field, index))


def _value_findings(entry: Source | Operation, path: Path) -> Iterator[Finding]:
    """At least one field, and no empty text in any."""
    names = zip(entry.__struct_encode_fields__, entry.__struct_fields__, strict=True)
    given = [(encoded, values) for encoded, field in names if (values := getattr(entry, field))]
    if not given:
        yield Finding(path, f"empty; give at least one of {', '.join(entry.__struct_encode_fields__)}")
    for encoded, values in given:
        yield from _text_findings(values, (*path, encoded))


def _text_findings(values: Sequence[str], path: Path) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if not value:
            yield Finding((*path, index), "empty text matches nothing; leave it out, or use '*' for any value")


def _port_findings(value: str, path: Path) -> Iterator[Finding]:
    if not (value.isascii() and value.isdigit() and len(value) <= 5 and 1 <= int(value) <= 65535):
        yield Finding(path, f"expected a port from 1 to 65535 as text, got {validate.shown(value)}")


def _blocks(values: Sequence[str], path: Path) -> Iterator[Finding]:
    for index, value in enumerate(values):
        yield from validate.block(value, (*path, index))
