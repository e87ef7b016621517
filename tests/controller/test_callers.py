import datetime as dt
from pathlib import Path

import pytest

from sidestep.controller.callers import UnknownCallerError, node_of
from sidestep.identity.authority import Authority
from sidestep.identity.certificate import new_key_and_csr
from sidestep.identity.spiffe import SpiffeId

NOW = dt.datetime.now(dt.UTC)
NODE = SpiffeId.node("cluster.local", "node-1")


def _session(tmp_path: Path, identity: SpiffeId, trust_domain: str = "cluster.local") -> dict[str, list[bytes]]:
    authority = Authority.load_or_create(tmp_path / trust_domain, trust_domain)
    chain = authority.sign(new_key_and_csr(identity).csr_pem, identity, now=NOW)
    return {"x509_pem_cert": [chain[0].encode()], "ssl_tls_version": [b"TLSv1.3"]}


def test_a_node_in_force_is_known(tmp_path: Path) -> None:
    assert node_of(_session(tmp_path, NODE), "cluster.local", NOW) == NODE


def test_everybody_else_is_not(tmp_path: Path) -> None:
    session = _session(tmp_path, NODE)
    workload = _session(tmp_path, SpiffeId.workload("cluster.local", "sidestep", "node-1"))
    foreign = _session(tmp_path, SpiffeId.node("other.domain", "node-1"), "other.domain")
    cases = [
        ({}, NOW, "TLS 1.3"),
        ({**session, "ssl_tls_version": [b"TLSv1.2"]}, NOW, "TLS 1.3"),
        ({**session, "x509_pem_cert": []}, NOW, "certificate is needed"),
        ({**session, "x509_pem_cert": [b"nonsense"]}, NOW, "not acceptable"),
        ({**session, "x509_pem_cert": session["x509_pem_cert"] * 2}, NOW, "certificate is needed"),
        (session, NOW + dt.timedelta(hours=24), "not in force"),
        (session, NOW - dt.timedelta(hours=1), "not in force"),
        (workload, NOW, "is not a node"),
        (foreign, NOW, "not of the trust domain"),
    ]
    for properties, moment, message in cases:
        with pytest.raises(UnknownCallerError, match=message):
            node_of(properties, "cluster.local", moment)
