"""What goes wrong with identities; every text says what a person can mend."""

from __future__ import annotations


class IdentityError(Exception):
    """Root of the errors of this package."""


class AuthorityError(IdentityError):
    """The certificate authority's files cannot be used."""


class RequestError(IdentityError):
    """A certificate signing request is not acceptable."""


class CertificateError(IdentityError):
    """An issued certificate is not what was asked for."""


class SigningRefusedError(IdentityError):
    """The authority says no (for now: the mesh it knows may lag behind the node's)."""


class SigningUnavailableError(IdentityError):
    """The authority cannot be reached."""


class JoinRefusedError(IdentityError):
    """The controller does not accept this node or its token."""


class ForgottenError(IdentityError):
    """The identity was dropped while someone waited for its certificate."""
