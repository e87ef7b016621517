import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from sidestep.identity.authority import Authority
from sidestep.identity.certificate import new_key_and_csr
from sidestep.identity.errors import AuthorityError, RequestError
from sidestep.identity.spiffe import SpiffeId

WEB = SpiffeId.workload("cluster.local", "shop", "web")
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.load_or_create(tmp_path / "ca", "cluster.local")


def _leaf(chain: tuple[str, ...]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain[0].encode())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _ca(
    name: str,
    parent: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    *,
    is_ca: bool = True,
    days: int = 10,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(parent[0].subject if parent else _name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 20 * DAY)
        .not_valid_after(NOW + days * DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(parent[1] if parent else key, hashes.SHA256())
    )
    return certificate, key


def _pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / f"{name.replace('_', '-')}.pem"
        path.write_text(text)
        path.chmod(0o600)
    return folder


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def test_leaf_is_an_x509_svid(authority: Authority) -> None:
    later = NOW + dt.timedelta(hours=1)
    chain = authority.sign(new_key_and_csr(WEB).csr_pem, WEB, now=later)
    leaf = _leaf(chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert list(names.value) == [x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/web")]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    ]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.not_valid_before_utc == later - dt.timedelta(minutes=1)
    assert leaf.not_valid_after_utc == later + DAY
    assert len(chain) == 2
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(chain[-1].encode()))


def test_created_files_are_private_and_survive(tmp_path: Path) -> None:
    first = Authority.load_or_create(tmp_path / "ca", "cluster.local")
    assert (tmp_path / "ca/ca-key.pem").stat().st_mode & 0o777 == 0o600
    again = Authority.load_or_create(tmp_path / "ca", "cluster.local")
    assert again.trust.fingerprints == first.trust.fingerprints


def test_a_root_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Authority.load_or_create(tmp_path / "empty", "cluster.local")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").write_text("of somebody else")
    with pytest.raises(AuthorityError, match="must be empty or absent"):
        Authority.load_or_create(tmp_path / "used", "cluster.local")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "used"]
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    Authority.load_or_create(tmp_path, "cluster.local")
    (tmp_path / "ca-key.pem").chmod(mode)
    with pytest.raises(AuthorityError, match=r"ca-key\.pem is open to other users.*chmod 600"):
        Authority.load(tmp_path, "cluster.local")


@pytest.mark.parametrize("name", ["ca-cert.pem", "ca-key.pem", "root-cert.pem"])
def test_missing_file_is_named_and_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    Authority.load_or_create(tmp_path, "cluster.local")
    (tmp_path / name).unlink()
    with pytest.raises(AuthorityError, match=f"lacks {name}"):
        Authority.load_or_create(tmp_path, "cluster.local")


def test_plug_in_intermediate(tmp_path: Path) -> None:
    root = _ca("root")
    upper = _ca("upper", root)
    lower = _ca("lower", upper)
    folder = _write(
        tmp_path,
        ca_cert=_pem(lower[0]),
        ca_key=_key_pem(lower[1]),
        root_cert=_pem(root[0]),
        cert_chain=_pem(lower[0], upper[0], root[0]),
    )
    chain = Authority.load(folder, "cluster.local").sign(new_key_and_csr(WEB).csr_pem, WEB)
    assert chain[1:] == (_pem(lower[0]), _pem(upper[0]), _pem(root[0]))
    _leaf(chain).verify_directly_issued_by(lower[0])


def test_plug_in_errors_say_what_to_do(tmp_path: Path) -> None:
    root, stranger = _ca("root"), _ca("stranger")
    expired, no_ca = _ca("old", days=-1), _ca("leaf", is_ca=False)
    key, roots = _key_pem(root[1]), _pem(root[0])
    cases = [
        ("not the private key", _pem(root[0]), _key_pem(stranger[1]), roots),
        ("expired on", _pem(expired[0]), _key_pem(expired[1]), _pem(expired[0])),
        ("not a CA certificate", _pem(no_ca[0]), _key_pem(no_ca[1]), _pem(no_ca[0])),
        ("does not lead to a root", _pem(stranger[0]), _key_pem(stranger[1]), roots),
        ("holds no PEM certificate", "nonsense", key, roots),
        ("holds no PEM private key", _pem(root[0]), "nonsense", roots),
    ]
    for message, certificate, private_key, root_pem in cases:
        _write(tmp_path, ca_cert=certificate, ca_key=private_key, root_cert=root_pem)
        with pytest.raises(AuthorityError, match=message):
            Authority.load(tmp_path, "cluster.local")


def test_leaf_never_outlives_the_authority(tmp_path: Path) -> None:
    root = _ca("root", days=2)
    folder = _write(tmp_path, ca_cert=_pem(root[0]), ca_key=_key_pem(root[1]), root_cert=_pem(root[0]))
    authority = Authority.load(folder, "cluster.local")
    csr = new_key_and_csr(WEB).csr_pem
    assert _leaf(authority.sign(csr, WEB, 10 * DAY)).not_valid_after_utc == root[0].not_valid_after_utc
    with pytest.raises(AuthorityError, match="expired"):
        authority.sign(csr, WEB, now=NOW + 3 * DAY)


def _request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *names: x509.GeneralName) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name("ignored"))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_names_of_the_request_must_be_absent_or_equal(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _leaf(authority.sign(_request(key), WEB))
    assert leaf.subject == x509.Name([])
    own = x509.UniformResourceIdentifier(str(WEB))
    other = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/admin")
    for names in [(other,), (own, other), (own, x509.DNSName("sidestep-controller"))]:
        with pytest.raises(RequestError, match="names"):
            authority.sign(_request(key, *names), WEB)


def test_forged_weak_and_foreign_requests_are_refused(authority: Authority) -> None:
    request = x509.load_pem_x509_csr(new_key_and_csr(WEB).csr_pem.encode())
    forged = bytearray(request.public_bytes(serialization.Encoding.DER))
    forged[-1] ^= 1
    mended = x509.load_der_x509_csr(bytes(forged)).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(RequestError):
        authority.sign(mended, WEB)
    with pytest.raises(RequestError, match="1024 bits"):
        authority.sign(_request(rsa.generate_private_key(65537, 1024)), WEB)
    with pytest.raises(RequestError, match="trust domain"):
        authority.sign(new_key_and_csr(WEB).csr_pem, SpiffeId.workload("other.domain", "shop", "web"))
    with pytest.raises(RequestError, match="positive"):
        authority.sign(new_key_and_csr(WEB).csr_pem, WEB, dt.timedelta())


_AUTHORITY_FOR_FUZZING: list[Authority] = []


@given(st.text() | st.binary(max_size=300).map(lambda noise: f"-----BEGIN CERTIFICATE REQUEST-----\n{noise.hex()}\n"))
def test_any_text_is_refused_with_one_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    if not _AUTHORITY_FOR_FUZZING:
        _AUTHORITY_FOR_FUZZING.append(Authority.load_or_create(tmp_path_factory.mktemp("ca"), "cluster.local"))
    with pytest.raises(RequestError):
        _AUTHORITY_FOR_FUZZING[0].sign(text, WEB)


def test_repr_shows_no_key(authority: Authority) -> None:
    made = new_key_and_csr(WEB)
    assert "PRIVATE" not in repr(made) + repr(authority)
