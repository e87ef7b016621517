"""Trust bundles: the roots that a peer's certificate may lead to."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sidestep.identity.errors import AuthorityError


class TrustBundle(msgspec.Struct, frozen=True):
    """One or more roots, in DER, in a stable order without doubles."""

    roots: tuple[bytes, ...]

    @classmethod
    def parse(cls, pem: str, *, origin: str = "the trust bundle") -> TrustBundle:
        """Read one or more PEM certificates; `origin` names the source in errors (`AuthorityError`)."""
        try:
            certificates = x509.load_pem_x509_certificates(pem.encode())
        except ValueError as error:
            raise AuthorityError(f"{origin} holds no PEM certificates: {error}") from error
        return cls.of(certificates)

    @classmethod
    def of(cls, certificates: Iterable[x509.Certificate]) -> TrustBundle:
        """The bundle of these roots."""
        return cls(tuple(dict.fromkeys(each.public_bytes(Encoding.DER) for each in certificates)))

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The roots, parsed."""
        return tuple(x509.load_der_x509_certificate(root) for root in self.roots)

    @property
    def pem(self) -> str:
        """All roots, one after the other."""
        return "".join(each.public_bytes(Encoding.PEM).decode() for each in self.certificates)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """SHA-256 of each root, in hex."""
        return tuple(hashlib.sha256(root).hexdigest() for root in self.roots)

    def union(self, other: TrustBundle) -> TrustBundle:
        """Trust the roots of both, as while a root is being replaced."""
        return TrustBundle(tuple(dict.fromkeys(self.roots + other.roots)))

    def valid(self, at: dt.datetime) -> TrustBundle:
        """The bundle without roots that are not in force at that moment."""
        kept = (root for root in self.certificates if root.not_valid_before_utc <= at < root.not_valid_after_utc)
        return TrustBundle.of(kept)
