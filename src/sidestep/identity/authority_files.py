"""The authority's files, in Istio's `cacerts` layout: read, checked, and made when there are none."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import secrets
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sidestep.identity.certificate import private_key_to_pem
from sidestep.identity.errors import AuthorityError
from sidestep.identity.files import read_secret, write_atomically
from sidestep.identity.issue import SigningKey, issue_root
from sidestep.identity.trust import TrustBundle

CERTIFICATE = "ca-cert.pem"
KEY = "ca-key.pem"
ROOT = "root-cert.pem"
CHAIN = "cert-chain.pem"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityFiles:
    """What the files of an authority say, checked."""

    certificate: x509.Certificate
    key: SigningKey = dataclasses.field(repr=False)
    intermediates: tuple[x509.Certificate, ...]
    """The signer first, then what leads to a root; empty when the signer is a root itself."""
    trust: TrustBundle


def is_present(folder: Path) -> bool:
    """Whether any file of an authority is there; a half-present one must be reported, not replaced."""
    return any((folder / name).exists() for name in (CERTIFICATE, KEY, ROOT))


def create(folder: Path, trust_domain: str) -> None:
    """Make a root, all of it or nothing: the folder is filled elsewhere and takes its name when it is complete."""
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = issue_root(key, trust_domain, dt.datetime.now(dt.UTC)).public_bytes(serialization.Encoding.PEM)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    beside.mkdir(mode=0o700)
    write_atomically(beside / KEY, private_key_to_pem(key).encode(), mode=0o600)
    write_atomically(beside / ROOT, pem)
    write_atomically(beside / CERTIFICATE, pem)
    try:
        beside.rename(folder)  # over an empty folder, too
    except OSError as error:
        shutil.rmtree(beside)
        raise AuthorityError(f"cannot make a CA in {folder}: {error.strerror}; it must be empty or absent") from error


def load(folder: Path) -> AuthorityFiles:
    """Read and check; raises `AuthorityError` with the file and what to do."""
    _check_complete(folder)
    certificate = _certificates(folder / CERTIFICATE)[0]
    trust = TrustBundle.of(_certificates(folder / ROOT))
    _check_is_authority(certificate, folder / CERTIFICATE)
    key = _private_key(folder / KEY)
    if key.public_key() != certificate.public_key():
        raise AuthorityError(f"{folder / KEY} is not the private key of {folder / CERTIFICATE}: they must be a pair")
    intermediates = _intermediates(folder, certificate, trust)
    _check_leads_to_root((certificate, *intermediates[1:]), trust, folder)
    return AuthorityFiles(certificate=certificate, key=key, intermediates=intermediates, trust=trust)


def _check_complete(folder: Path) -> None:
    missing = [name for name in (CERTIFICATE, KEY, ROOT) if not (folder / name).is_file()]
    if missing:
        raise AuthorityError(
            f"the CA folder {folder} lacks {', '.join(missing)}: put {CERTIFICATE}, {KEY} and {ROOT} there "
            f"(and {CHAIN} for an intermediate CA), or delete what is left of them to get a new root"
        )


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise AuthorityError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise AuthorityError(f"{path} holds no PEM certificate: {error}") from error


def _private_key(path: Path) -> SigningKey:
    pem = read_secret(path, what="the CA's private key")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise AuthorityError(f"{path} is encrypted: the controller needs it without a password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise AuthorityError(f"{path} holds no PEM private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise AuthorityError(f"{path} is neither an RSA key nor one on an elliptic curve")
    return key


def _check_is_authority(certificate: x509.Certificate, path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    if now >= certificate.not_valid_after_utc:
        raise AuthorityError(f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: replace it")
    if now < certificate.not_valid_before_utc:
        raise AuthorityError(f"{path} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise AuthorityError(f"{path} is not a CA certificate: it has no basic constraints") from None
    except ValueError as error:
        raise AuthorityError(f"{path} has extensions that cannot be read: {error}") from error
    if not constraints.ca:
        raise AuthorityError(f"{path} is not a CA certificate: its basic constraints say CA:FALSE")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise AuthorityError(f"{path} may not sign certificates: its key usage lacks keyCertSign")


def _intermediates(folder: Path, certificate: x509.Certificate, trust: TrustBundle) -> tuple[x509.Certificate, ...]:
    """What goes out between leaf and root: Istio puts the signer first in `cert-chain.pem`, without the root."""
    roots = set(trust.certificates)
    if certificate in roots:
        return ()
    chain = [certificate]
    if (folder / CHAIN).is_file():
        chain += [each for each in _certificates(folder / CHAIN) if each != certificate and each not in roots]
    return tuple(chain)


def _check_leads_to_root(chain: tuple[x509.Certificate, ...], trust: TrustBundle, folder: Path) -> None:
    roots = trust.certificates
    for child, parent in itertools.pairwise(chain):
        if not _is_issued_by(child, parent):
            raise AuthorityError(
                f"{folder / CHAIN} is out of order: {parent.subject.rfc4514_string()} did not issue "
                f"{child.subject.rfc4514_string()}"
            )
    last = chain[-1]
    if last not in roots and not any(_is_issued_by(last, root) for root in roots):
        raise AuthorityError(
            f"{folder / CERTIFICATE} does not lead to a root in {folder / ROOT}: "
            f"add the certificates between them to {CHAIN}"
        )


def _is_issued_by(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
