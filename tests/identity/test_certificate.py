import datetime as dt
from pathlib import Path

import pytest

from sidestep.identity.authority import Authority
from sidestep.identity.certificate import WorkloadCertificate, new_key_and_csr
from sidestep.identity.errors import CertificateError
from sidestep.identity.spiffe import SpiffeId

WEB = SpiffeId.workload("cluster.local", "shop", "web")
NOW = dt.datetime.now(dt.UTC)


def test_an_answer_for_another_key_or_identity_is_refused(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path, "cluster.local")
    made, other = new_key_and_csr(WEB), new_key_and_csr(WEB)
    issued = authority.sign(made.csr_pem, WEB)
    with pytest.raises(CertificateError, match="another key"):
        WorkloadCertificate.from_issued(WEB, issued, other.private_key_pem, now=NOW)
    admin = SpiffeId.workload("cluster.local", "shop", "admin")
    with pytest.raises(CertificateError, match="sa/web for"):
        WorkloadCertificate.from_issued(admin, issued, made.private_key_pem, now=NOW)
    with pytest.raises(CertificateError, match="need leaf and root"):
        WorkloadCertificate.from_issued(WEB, issued[:1], made.private_key_pem, now=NOW)
    with pytest.raises(CertificateError, match="no usable"):
        WorkloadCertificate.from_issued(WEB, ("nonsense", "nonsense"), made.private_key_pem, now=NOW)


def test_renewal_counts_from_when_it_came(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path, "cluster.local")
    made = new_key_and_csr(WEB)
    issued = authority.sign(made.csr_pem, WEB, dt.timedelta(seconds=20), now=NOW)
    certificate = WorkloadCertificate.from_issued(WEB, issued, made.private_key_pem, now=NOW)
    assert 9 <= (certificate.renew_at() - NOW).total_seconds() <= 10
    assert certificate.is_valid(NOW)
    assert not certificate.is_valid(NOW + dt.timedelta(seconds=20))
