"""Certificates and roots for Envoy, inline: they go over the agent's Unix socket and never touch a disk."""

from __future__ import annotations

from sidestep.node.translator import names
from sidestep.wire import envoy as pb


def certificate_secret(name: str, chain_pem: bytes, private_key_pem: bytes) -> pb.Secret:
    """A certificate under the name that Envoy asked for."""
    return pb.Secret(
        name=name,
        tls_certificate=pb.TlsCertificate(
            certificate_chain=pb.DataSource(inline_bytes=chain_pem),
            private_key=pb.DataSource(inline_bytes=private_key_pem),
        ),
    )


def trust_bundle_secret(roots_pem: bytes, trust_domain: str) -> pb.Secret:
    """Peers must chain to one of the roots and be workloads of the trust domain; nodes and the controller are none.

    Which identity exactly a server must have is told for each connection, see `sidestep.node.translator.tunnel`.
    """
    matcher = pb.SubjectAltNameMatcher(
        san_type=pb.SubjectAltNameMatcher.URI, matcher=pb.StringMatcher(prefix=f"spiffe://{trust_domain}/ns/")
    )
    return pb.Secret(
        name=names.TRUST_BUNDLE,
        validation_context=pb.CertificateValidationContext(
            trusted_ca=pb.DataSource(inline_bytes=roots_pem), match_typed_subject_alt_names=[matcher]
        ),
    )
