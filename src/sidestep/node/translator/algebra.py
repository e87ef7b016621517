"""Boolean algebra over Envoy's RBAC terms, with the constants folded.

Principals (who) and permissions (what) are different messages of the same shape: anything, not, and, or.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sidestep.wire import envoy as pb

Term = TypeVar("Term", pb.Principal, pb.Permission)
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Algebra(Generic[Term]):
    """How terms of one kind are joined."""

    everything: Term
    nothing: Term
    conjunction: Callable[[Sequence[Term]], Term]
    disjunction: Callable[[Sequence[Term]], Term]
    negation: Callable[[Term], Term]

    def all_of(self, terms: Iterable[Term]) -> Term:
        """Matches when all match; without terms, always."""
        kept = [term for term in terms if term != self.everything]
        if self.nothing in kept:
            return self.nothing
        if len(kept) < 2:
            return kept[0] if kept else self.everything
        return self.conjunction(kept)

    def any_of(self, terms: Iterable[Term]) -> Term:
        """Matches when one of them does; without terms, never."""
        kept = [term for term in terms if term != self.nothing]
        if self.everything in kept:
            return self.everything
        if len(kept) < 2:
            return kept[0] if kept else self.nothing
        return self.disjunction(kept)

    def not_(self, term: Term) -> Term:
        """Matches when `term` does not."""
        if term == self.nothing:
            return self.everything
        return self.nothing if term == self.everything else self.negation(term)

    def field(self, wanted: Sequence[Value], unwanted: Sequence[Value], one: Callable[[Value], Term]) -> Term:
        """One of `wanted`, when there are any, and none of `unwanted`."""
        terms = [self.any_of(map(one, wanted))] if wanted else []
        if unwanted:
            terms.append(self.not_(self.any_of(map(one, unwanted))))
        return self.all_of(terms)


PRINCIPALS: Algebra[pb.Principal] = Algebra(
    everything=pb.Principal(any=True),
    nothing=pb.Principal(not_id=pb.Principal(any=True)),
    conjunction=lambda terms: pb.Principal(and_ids=pb.Principal.Set(ids=terms)),
    disjunction=lambda terms: pb.Principal(or_ids=pb.Principal.Set(ids=terms)),
    negation=lambda term: pb.Principal(not_id=term),
)
PERMISSIONS: Algebra[pb.Permission] = Algebra(
    everything=pb.Permission(any=True),
    nothing=pb.Permission(not_rule=pb.Permission(any=True)),
    conjunction=lambda terms: pb.Permission(and_rules=pb.Permission.Set(rules=terms)),
    disjunction=lambda terms: pb.Permission(or_rules=pb.Permission.Set(rules=terms)),
    negation=lambda term: pb.Permission(not_rule=term),
)
