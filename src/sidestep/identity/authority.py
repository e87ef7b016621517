"""The certificate authority: a self-made root kept in a folder, or a plug-in CA in Istio's `cacerts` layout.

The layout: `ca-cert.pem` and `ca-key.pem` sign, `root-cert.pem` is the trust bundle, `cert-chain.pem` is what stands
between the leaf and the root (with `ca-cert.pem` first; absent for a self-made root).
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sidestep.identity import authority_files
from sidestep.identity.certificate import identity_of
from sidestep.identity.errors import AuthorityError, CertificateError, RequestError
from sidestep.identity.issue import SigningKey, issue_leaf
from sidestep.identity.spiffe import SpiffeId
from sidestep.identity.trust import TrustBundle

LIFETIME = dt.timedelta(hours=24)
"""How long a leaf lives unless asked otherwise."""

_LARGEST_REQUEST = 16 * 1024


class Authority:
    """Signs leaves. Thread-safe: it never changes after it was made."""

    def __init__(
        self,
        *,
        trust_domain: str,
        certificate: x509.Certificate,
        key: SigningKey,
        intermediates: tuple[x509.Certificate, ...],
        trust: TrustBundle,
    ) -> None:
        """`intermediates` go out after the leaf, the signer first; empty when the signer is the root."""
        self.trust_domain = trust_domain
        self.certificate = certificate
        self.trust = trust
        self._key = key
        self._intermediates = tuple(each.public_bytes(serialization.Encoding.PEM).decode() for each in intermediates)

    def __repr__(self) -> str:
        return f"Authority({self.trust_domain!r}, until {self.certificate.not_valid_after_utc:%Y-%m-%d})"

    @classmethod
    def load_or_create(cls, folder: Path, trust_domain: str) -> Authority:
        """Use the authority in `folder`; make a root there if the folder has none. Raises `AuthorityError`."""
        if not authority_files.is_present(folder):
            authority_files.create(folder, trust_domain)
        return cls.load(folder, trust_domain)

    @classmethod
    def load(cls, folder: Path, trust_domain: str) -> Authority:
        """Use the plug-in authority in `folder`; raises `AuthorityError` naming file and mend."""
        files = authority_files.load(folder)
        return cls(
            trust_domain=trust_domain,
            certificate=files.certificate,
            key=files.key,
            intermediates=files.intermediates,
            trust=files.trust,
        )

    def sign(
        self,
        csr_pem: str,
        identity: SpiffeId,
        lifetime: dt.timedelta = LIFETIME,
        *,
        dns_names: tuple[str, ...] = (),
        now: dt.datetime | None = None,
    ) -> tuple[str, ...]:
        """Leaf, intermediates and last the root(s), each PEM, for an identity the *caller* has already proved.

        The request proves possession of its key; what it says of names must be exactly `identity`, or nothing. The
        leaf never outlives the authority. Raises `RequestError`, or `AuthorityError` when the authority has expired.
        """
        if identity.trust_domain != self.trust_domain:
            raise RequestError(f"{identity} is not of the trust domain {self.trust_domain}")
        if lifetime <= dt.timedelta():
            raise RequestError(f"a lifetime must be positive, got {lifetime}")
        moment = now or dt.datetime.now(dt.UTC)
        if moment >= self.certificate.not_valid_after_utc:
            raise AuthorityError(f"the CA certificate expired on {self.certificate.not_valid_after_utc:%Y-%m-%d %H:%M}")
        public_key = _checked_public_key(csr_pem, identity)
        leaf = issue_leaf(
            signer=self.certificate,
            key=self._key,
            public_key=public_key,
            identity=identity,
            dns_names=dns_names,
            now=moment,
            lifetime=lifetime,
        )
        return (leaf.public_bytes(serialization.Encoding.PEM).decode(), *self._intermediates, self.trust.pem)


def _checked_public_key(csr_pem: str, identity: SpiffeId) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    if len(csr_pem) > _LARGEST_REQUEST:
        raise RequestError(f"the signing request is longer than {_LARGEST_REQUEST} bytes")
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        public_key = request.public_key()
        is_signed = request.is_signature_valid
    except Exception as error:  # parsing what a stranger sent: whatever is wrong with it is wrong with the request
        raise RequestError(f"the signing request cannot be read: {error}") from error
    if not is_signed:
        raise RequestError("the signing request's signature is wrong")
    _check_names(request, identity)
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if not isinstance(public_key.curve, ec.SECP256R1 | ec.SECP384R1):
            raise RequestError(f"keys on the curve {public_key.curve.name} are not accepted: use P-256")
        return public_key
    if isinstance(public_key, rsa.RSAPublicKey):
        if public_key.key_size < 2048:
            raise RequestError(f"RSA keys of {public_key.key_size} bits are not accepted: use P-256")
        return public_key
    raise RequestError("keys of this kind are not accepted: use P-256")


def _check_names(request: x509.CertificateSigningRequest, identity: SpiffeId) -> None:
    """A request that names somebody else is a mistake or an attack: refuse it rather than drop the name."""
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    except ValueError as error:
        raise RequestError(f"the signing request's extensions cannot be read: {error}") from error
    if list(names) != [x509.UniformResourceIdentifier(str(identity))]:
        shown = ", ".join(str(name.value) for name in names)[:200]
        raise RequestError(f"the signing request names {shown or 'nobody'}, but the certificate is for {identity}")


def verify_leaf(leaf: x509.Certificate, trust_domain: str) -> SpiffeId:
    """The identity in a peer's leaf whose chain TLS has already verified; raises `CertificateError`."""
    identity = identity_of(leaf)
    if identity.trust_domain != trust_domain:
        raise CertificateError(f"{identity} is not of the trust domain {trust_domain}")
    return identity
