from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestep.node.dns.names import enclosing, expansions, is_inside, meanings, search_list, wildcards

SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")


def test_search_list() -> None:
    assert search_list("shop", "cluster.local") == SEARCH
    assert search_list("", "cluster.local") == SEARCH[1:]


def test_meanings() -> None:
    assert meanings("api.example.com", SEARCH) == ("api.example.com",)
    assert meanings("api.example.com.shop.svc.cluster.local", SEARCH) == (
        "api.example.com.shop.svc.cluster.local",
        "api.example.com",
        "api.example.com.shop",
        "api.example.com.shop.svc",
    )
    assert meanings("shop.svc.cluster.local", SEARCH) == ("shop.svc.cluster.local", "shop", "shop.svc")


def test_expansions() -> None:
    assert list(expansions("a", SEARCH)) == ["a", *(f"a.{suffix}" for suffix in SEARCH)]


def test_wildcards() -> None:
    assert list(wildcards("a.b.c")) == ["*.b.c", "*.c"]
    assert list(wildcards("a")) == []


def test_enclosing() -> None:
    assert list(enclosing("a.b.c")) == ["b.c", "c"]
    assert list(enclosing("a")) == []


def test_is_inside() -> None:
    assert is_inside("cluster.local", "cluster.local")
    assert is_inside("a.cluster.local", "cluster.local")
    assert not is_inside("notcluster.local", "cluster.local")


@given(st.text(alphabet="abc.", max_size=30))
def test_a_name_means_itself_first_and_each_meaning_once(name: str) -> None:
    found = meanings(f"{name}.svc.cluster.local", SEARCH)
    assert found[0] == f"{name}.svc.cluster.local"
    assert len(set(found)) == len(found)
    assert name in found
