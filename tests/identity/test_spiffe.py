import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.identity.spiffe import InvalidSpiffeIdError, SpiffeId

_segments = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True).filter(lambda text: text not in {".", ".."})
_trust_domains = st.from_regex(r"[a-z0-9._-]{1,30}", fullmatch=True)


@given(_trust_domains, st.lists(_segments, min_size=1, max_size=6))
def test_text_and_back(trust_domain: str, segments: list[str]) -> None:
    identity = SpiffeId(trust_domain, tuple(segments))
    assert SpiffeId.parse(str(identity)) == identity


@given(st.text(max_size=80).map(lambda text: "spiffe://" + text) | st.text(max_size=80))
def test_parse_gives_back_what_it_read_or_refuses(text: str) -> None:
    try:
        identity = SpiffeId.parse(text)
    except InvalidSpiffeIdError:
        return
    assert str(identity) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://cluster.local/ns/a/sa/b",
        "SPIFFE://cluster.local/ns/a/sa/b",
        "spiffe://cluster.local",
        "spiffe://cluster.local/",
        "spiffe://cluster.local/ns/a/sa/b/",
        "spiffe://cluster.local//sa",
        "spiffe://Cluster.local/ns/a/sa/b",
        "spiffe://user@cluster.local/ns/a/sa/b",
        "spiffe://cluster.local:80/ns/a/sa/b",
        "spiffe://cluster.local/ns/../sa/b",
        "spiffe://cluster.local/ns/a/sa/b?x=1",
        "spiffe://cluster.local/ns/a/sa/b#x",
        "spiffe://cluster.local/ns/a/sa/b%2f",
        "spiffe://cluster.local/ns/a/sa/b\n",
        "spiffe://cluster.local/ns/ä/sa/b",
        "spiffe://cluster.local/" + "a" * 3000,
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidSpiffeIdError):
        SpiffeId.parse(text)


def test_parts() -> None:
    workload = SpiffeId.parse("spiffe://cluster.local/ns/shop/sa/web")
    assert workload == SpiffeId.workload("cluster.local", "shop", "web")
    assert (workload.is_workload, workload.namespace, workload.service_account) == (True, "shop", "web")
    assert workload.node_name is None
    node = SpiffeId.node("cluster.local", "node-1")
    assert (node.is_workload, node.namespace, node.node_name) == (False, None, "node-1")
    assert SpiffeId.controller("cluster.local").node_name is None
