"""One rule of an AuthorizationPolicy → clauses of layer 4, and the names of what layer 4 cannot see in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sidestep.api.istio.authorization_policy import Operation, Source, When
from sidestep.api.istio.authorization_policy import Rule as PolicyRule
from sidestep.mesh.addresses import canonical_block
from sidestep.mesh.model import Clause, Match, Rule, ServiceAccountMatch, StringMatch

Value = TypeVar("Value")


def layer4_rule(rule: PolicyRule, namespace: str) -> tuple[Rule, tuple[str, ...]]:
    """The rule without what layer 4 cannot see, and the names of that; `namespace` is the policy's."""
    translation = _Translation(namespace)
    clauses = []
    if rule.from_:
        clauses.append(Clause(matches=tuple(translation.source(item.source) for item in rule.from_)))
    if rule.to:
        clauses.append(Clause(matches=tuple(translation.operation(item.operation) for item in rule.to)))
    clauses += [Clause(matches=(translation.condition(item),)) for item in rule.when or ()]
    return Rule(clauses=tuple(clauses)), tuple(dict.fromkeys(translation.unseen))


def string_match(text: str) -> StringMatch:
    """`*` any, `*x` a suffix, `x*` a prefix, else exact."""
    if text == "*":
        return StringMatch()
    if text.startswith("*"):
        return StringMatch(suffix=text[1:])
    if text.endswith("*"):
        return StringMatch(prefix=text[:-1])
    return StringMatch(exact=text)


class _Translation:
    """Collects in `unseen` what it meets and cannot express."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.unseen: list[str] = []

    def source(self, source: Source) -> Match:
        self._note(
            remoteIpBlocks=source.remote_ip_blocks,
            notRemoteIpBlocks=source.not_remote_ip_blocks,
            requestPrincipals=source.request_principals,
            notRequestPrincipals=source.not_request_principals,
        )
        return Match(
            principals=_strings(source.principals),
            not_principals=_strings(source.not_principals),
            namespaces=_strings(source.namespaces),
            not_namespaces=_strings(source.not_namespaces),
            service_accounts=self._accounts(source.service_accounts),
            not_service_accounts=self._accounts(source.not_service_accounts),
            source_blocks=self._blocks(source.ip_blocks),
            not_source_blocks=self._blocks(source.not_ip_blocks),
        )

    def operation(self, operation: Operation) -> Match:
        self._note(
            hosts=operation.hosts,
            notHosts=operation.not_hosts,
            methods=operation.methods,
            notMethods=operation.not_methods,
            paths=operation.paths,
            notPaths=operation.not_paths,
        )
        return Match(
            destination_ports=self._ports(operation.ports), not_destination_ports=self._ports(operation.not_ports)
        )

    def condition(self, when: When) -> Match:
        values, unwanted = when.values, when.not_values
        match when.key:
            case "source.namespace":
                return Match(namespaces=_strings(values), not_namespaces=_strings(unwanted))
            case "source.principal":
                return Match(principals=_strings(values), not_principals=_strings(unwanted))
            case "source.ip":
                return Match(source_blocks=self._blocks(values), not_source_blocks=self._blocks(unwanted))
            case "destination.ip":
                return Match(destination_blocks=self._blocks(values), not_destination_blocks=self._blocks(unwanted))
            case "destination.port":
                return Match(destination_ports=self._ports(values), not_destination_ports=self._ports(unwanted))
            case key:
                self.unseen.append(key)
                return Match()

    def _note(self, **fields: Sequence[str]) -> None:
        self.unseen += [name for name, values in fields.items() if values]

    def _accounts(self, texts: Iterable[str]) -> tuple[ServiceAccountMatch, ...]:
        """`account` of the policy's own namespace, or `namespace/account`."""
        pairs = (text.split("/", 1) if "/" in text else (self._namespace, text) for text in texts)
        return tuple(ServiceAccountMatch(namespace=namespace, service_account=name) for namespace, name in pairs)

    def _blocks(self, texts: Iterable[str]) -> tuple[str, ...]:
        return self._known(texts, canonical_block)

    def _ports(self, texts: Iterable[str]) -> tuple[int, ...]:
        return self._known(texts, _port)

    def _known(self, texts: Iterable[str], parse: Callable[[str], Value | None]) -> tuple[Value, ...]:
        found = []
        for text in texts:
            value = parse(text)
            if value is None:
                self.unseen.append(f"{text!r}")
            else:
                found.append(value)
        return tuple(found)


def _strings(texts: Iterable[str]) -> tuple[StringMatch, ...]:
    return tuple(string_match(text) for text in texts)


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= 65535 else None
