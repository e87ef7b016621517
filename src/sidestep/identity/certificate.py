"""A certificate with its private key, and how a key and a signing request are made. Keys live in memory only."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidestep.identity.errors import CertificateError
from sidestep.identity.spiffe import InvalidSpiffeIdError, SpiffeId

_SHORTEST_LIFE = dt.timedelta(seconds=2)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KeyAndRequest:
    """A fresh P-256 key and a signing request for it, both PEM."""

    private_key_pem: str = dataclasses.field(repr=False)
    csr_pem: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadCertificate:
    """What proves an identity in a TLS handshake. Times are in UTC."""

    identity: SpiffeId
    chain_pem: str
    """The leaf, then the intermediates; not the root."""
    private_key_pem: str = dataclasses.field(repr=False)
    roots_pem: str = dataclasses.field(repr=False)
    """The trust bundle the authority sent along: one or more roots."""
    serial: int
    not_before: dt.datetime
    not_after: dt.datetime
    issued_at: dt.datetime
    """When we got it; `not_before` lies a little earlier, for clocks that differ."""

    @classmethod
    def from_issued(
        cls, identity: SpiffeId, issued: Sequence[str], private_key_pem: str, *, now: dt.datetime
    ) -> WorkloadCertificate:
        """Join the authority's answer with our key.

        `issued` is the answer of the CA service: the leaf, the intermediates, and last the root(s), each PEM.
        Raises `CertificateError` if the leaf is not for this identity and key.
        """
        if len(issued) < 2:
            raise CertificateError(f"the authority sent {len(issued)} certificates for {identity}: need leaf and root")
        try:
            leaf = x509.load_pem_x509_certificate(issued[0].encode())
            key = serialization.load_pem_private_key(private_key_pem.encode(), password=None)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CertificateError(f"the authority sent no usable certificate for {identity}: {error}") from error
        if leaf.public_key() != key.public_key():
            raise CertificateError(f"the authority signed another key than ours for {identity}")
        if (actual := identity_of(leaf)) != identity:
            raise CertificateError(f"the authority sent a certificate of {actual} for {identity}")
        return cls(
            identity=identity,
            chain_pem="".join(_terminated(pem) for pem in issued[:-1]),
            private_key_pem=private_key_pem,
            roots_pem=_terminated(issued[-1]),
            serial=leaf.serial_number,
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            issued_at=now,
        )

    def is_valid(self, at: dt.datetime) -> bool:
        """Whether it is in force at that moment."""
        return self.not_before <= at < self.not_after

    def renew_at(self, jitter: float = 0.0) -> dt.datetime:
        """Half of the life it had when we got it, moved by `jitter` (a fraction of that life, e.g. -0.05 to 0.05).

        Never within a second: the certificates of an authority that is about to expire live ever shorter.
        """
        life = max(self.not_after - self.issued_at, _SHORTEST_LIFE)
        return self.issued_at + life * (0.5 + jitter)


def new_key_and_csr(identity: SpiffeId) -> KeyAndRequest:
    """Make a P-256 key and a request whose only content is the identity, as a critical URI SAN."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    return KeyAndRequest(
        private_key_pem=private_key_to_pem(key), csr_pem=request.public_bytes(serialization.Encoding.PEM).decode()
    )


def private_key_to_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """PKCS 8, not encrypted."""
    encoding, layout = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, layout, serialization.NoEncryption()).decode()


def identity_of(certificate: x509.Certificate) -> SpiffeId:
    """The SPIFFE id of a leaf: exactly one URI in its SAN (X509-SVID section 2); raises `CertificateError`."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise CertificateError("the certificate has no subject alternative name") from None
    except ValueError as error:
        raise CertificateError(f"the certificate's extensions cannot be read: {error}") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise CertificateError(f"the certificate has {len(uris)} URI names, need exactly one")
    try:
        return SpiffeId.parse(uris[0])
    except InvalidSpiffeIdError as error:
        raise CertificateError(str(error)) from error


def _terminated(pem: str) -> str:
    return pem if pem.endswith("\n") else pem + "\n"
