"""SPIFFE ids: who a workload, a node or the controller is.

The grammar is that of the SPIFFE-ID specification, in its strict form: a lower-case trust domain and path segments
of letters, digits, dot, dash and underscore, none of them `.` or `..`; no percent-encoding, query, fragment or port.
"""

from __future__ import annotations

import re

import msgspec

from sidestep.identity.errors import IdentityError

_SCHEME = "spiffe://"
_MAXIMUM_LENGTH = 2048
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_OWN = "sidestep"


class InvalidSpiffeIdError(IdentityError, ValueError):
    """The text is no SPIFFE id; the message says why."""


class SpiffeId(msgspec.Struct, frozen=True, order=True):
    """`spiffe://<trust_domain>/<segment>/…`; `str()` gives that form. Build with `parse`, `workload`, `node`."""

    trust_domain: str
    segments: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _TRUST_DOMAIN.fullmatch(self.trust_domain):
            raise InvalidSpiffeIdError(f"invalid trust domain {self.trust_domain!r}: use a-z, 0-9, '.', '-' and '_'")
        if not self.segments:
            raise InvalidSpiffeIdError("a SPIFFE id needs a path, e.g. spiffe://cluster.local/ns/default/sa/default")
        for segment in self.segments:
            if segment in {".", ".."} or not _SEGMENT.fullmatch(segment):
                raise InvalidSpiffeIdError(f"invalid path segment {segment!r} in a SPIFFE id")
        if len(str(self)) > _MAXIMUM_LENGTH:
            raise InvalidSpiffeIdError(f"a SPIFFE id has at most {_MAXIMUM_LENGTH} bytes")

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """Read `spiffe://…`; raises `InvalidSpiffeIdError`."""
        if not text.startswith(_SCHEME):
            raise InvalidSpiffeIdError(f"a SPIFFE id starts with {_SCHEME}, got {text[:100]!r}")
        if len(text) > _MAXIMUM_LENGTH:
            raise InvalidSpiffeIdError(f"a SPIFFE id has at most {_MAXIMUM_LENGTH} bytes")
        trust_domain, *segments = text[len(_SCHEME) :].split("/")
        return cls(trust_domain, tuple(segments))

    @classmethod
    def workload(cls, trust_domain: str, namespace: str, service_account: str) -> SpiffeId:
        """`spiffe://<trust_domain>/ns/<namespace>/sa/<service_account>`, as Istio has it."""
        return cls(trust_domain, ("ns", namespace, "sa", service_account))

    @classmethod
    def node(cls, trust_domain: str, name: str) -> SpiffeId:
        """The identity of the agent of a node."""
        return cls(trust_domain, (_OWN, "node", name))

    @classmethod
    def controller(cls, trust_domain: str) -> SpiffeId:
        """The identity of the controller."""
        return cls(trust_domain, (_OWN, "controller"))

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}/{'/'.join(self.segments)}"

    @property
    def is_workload(self) -> bool:
        """Whether it has the form of a workload's identity."""
        match self.segments:
            case ("ns", _, "sa", _):
                return True
            case _:
                return False

    @property
    def namespace(self) -> str | None:
        """The namespace of a workload's identity."""
        return self.segments[1] if self.is_workload else None

    @property
    def service_account(self) -> str | None:
        """The service account of a workload's identity."""
        return self.segments[3] if self.is_workload else None

    @property
    def node_name(self) -> str | None:
        """The node's name in the identity of a node agent."""
        match self.segments:
            case ("sidestep", "node", name):
                return name
            case _:
                return None
