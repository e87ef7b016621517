"""How certificates look: the root, and leaves after the X509-SVID specification."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sidestep.identity.errors import AuthorityError
from sidestep.identity.spiffe import SpiffeId

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_BACKDATE = dt.timedelta(minutes=1)
"""Clocks of nodes differ a little."""
_ROOT_LIFETIME = dt.timedelta(days=3650)


def issue_root(key: ec.EllipticCurvePrivateKey, trust_domain: str, now: dt.datetime) -> x509.Certificate:
    """A self-signed root for ten years, named after the trust domain."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:64])])
    public_key = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + _ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )


def issue_leaf(
    *,
    signer: x509.Certificate,
    key: SigningKey,
    public_key: PublicKey,
    identity: SpiffeId,
    dns_names: tuple[str, ...],
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.Certificate:
    """A leaf for one identity. `dns_names` are for the controller, whose clients check a host name."""
    not_before = max(now - _BACKDATE, signer.not_valid_before_utc)
    not_after = min(now + lifetime, signer.not_valid_after_utc)
    if not_after <= now:
        raise AuthorityError("the CA certificate is not in force")
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(str(identity))]
    names += [x509.DNSName(name) for name in dns_names]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(signer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(_authority_key_identifier(signer), critical=False)
        .sign(key, hashes.SHA256())
    )


def _authority_key_identifier(signer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        subject = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        public_key = signer.public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise AuthorityError("the CA's key is neither RSA nor on an elliptic curve") from None
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
