from pathlib import Path

import pytest

from sidestep.identity.authority import Authority
from sidestep.identity.errors import AuthorityError
from sidestep.identity.trust import TrustBundle


def test_union_parse_and_order(tmp_path: Path) -> None:
    one = Authority.load_or_create(tmp_path / "one", "cluster.local").trust
    two = Authority.load_or_create(tmp_path / "two", "cluster.local").trust
    both = one.union(two)
    assert both.fingerprints == one.fingerprints + two.fingerprints
    assert both.union(one) == both
    assert TrustBundle.parse(both.pem) == both
    after = max(root.not_valid_after_utc for root in both.certificates)
    assert both.valid(after).roots == ()


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(AuthorityError, match=r"roots\.pem holds no PEM"):
        TrustBundle.parse("nonsense", origin="roots.pem")
