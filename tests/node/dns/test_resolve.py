from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.mesh.model import BalancingMode, IpFamilies, LoadBalancing, NetworkAddress, Service, Workload
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.resolve import Answer, Client, Family, resolve

V4, V6, BOTH = frozenset({Family.IPV4}), frozenset({Family.IPV6}), frozenset(Family)
SHOP = Client(namespace="shop")


def service(
    hostname: str,
    *addresses: str,
    namespace: str = "shop",
    canonical: bool = True,
    private: bool = False,
    families: IpFamilies = IpFamilies.AUTOMATIC,
    balancing: LoadBalancing | None = None,
) -> Service:
    return Service(
        name=hostname.split(".", maxsplit=1)[0],
        namespace=namespace,
        hostname=hostname,
        addresses=tuple(NetworkAddress(address=address) for address in addresses),
        canonical=canonical,
        private=private,
        ip_families=families,
        load_balancing=balancing or LoadBalancing(),
    )


def workload(
    name: str, *addresses: str, of: Service | None = None, healthy: bool = True, hostname: str = "", namespace: str = ""
) -> Workload:
    space = namespace or "shop"
    return Workload(
        uid=f"Kubernetes//Pod/{space}/{name}",
        name=name,
        namespace=space,
        addresses=addresses,
        hostname=hostname,
        healthy=healthy,
        services={of.key: ()} if of else {},
    )


def directory(*resources: Service | Workload) -> Directory:
    made = Directory()
    for resource in resources:
        made.put(resource)
    return made


SERVER = service("server.shop.svc.cluster.local", "10.96.0.10")
DATABASE = service("db.shop.svc.cluster.local")


@pytest.mark.parametrize(
    "name",
    ["server", "server.shop", "server.shop.svc", "server.shop.svc.cluster.local", "SERVER.Shop.svc.CLUSTER.local"],
)
def test_every_form_of_a_kubernetes_name(name: str) -> None:
    assert resolve(directory(SERVER), name, V4, SHOP) == Answer(
        owner="server.shop.svc.cluster.local", addresses=("10.96.0.10",)
    )


def test_other_namespaces_must_name_the_namespace() -> None:
    known = directory(SERVER)
    other = Client(namespace="other")
    assert resolve(known, "server", V4, other) is None
    assert resolve(known, "server.other.svc.cluster.local", V4, other) is None
    answer = resolve(known, "server.shop", V4, other)
    assert answer is not None
    assert answer.addresses == ("10.96.0.10",)


def test_a_known_host_without_that_family_is_empty_but_exists() -> None:
    assert resolve(directory(SERVER), "server.shop.svc.cluster.local", V6, SHOP) == Answer(
        owner="server.shop.svc.cluster.local"
    )
    assert resolve(directory(SERVER), "server.shop.svc.cluster.local", frozenset(), SHOP) == Answer(
        owner="server.shop.svc.cluster.local"
    )


def test_families_of_a_dual_stack_service() -> None:
    known = directory(service("two.shop.svc.cluster.local", "10.96.0.1", "fd00::1"))
    found = {families: resolve(known, "two", families, SHOP) for families in (V4, V6, BOTH)}
    assert [answer.addresses for answer in found.values() if answer] == [
        ("10.96.0.1",),
        ("fd00::1",),
        ("10.96.0.1", "fd00::1"),
    ]


def test_an_appended_search_domain_is_seen_through() -> None:
    known = directory(service("api.example.com", "240.240.0.1", canonical=False))
    expected = Answer(owner="api.example.com", addresses=("240.240.0.1",))
    for suffix in ("", ".shop.svc.cluster.local", ".svc.cluster.local", ".cluster.local"):
        assert resolve(known, "api.example.com" + suffix, V4, SHOP) == expected
    assert resolve(known, "api.example.com.other.svc.cluster.local", V4, SHOP) is None


def test_the_closest_wildcard_wins_and_covers_no_parent() -> None:
    known = directory(
        service("*.example.com", "240.240.0.1", canonical=False),
        service("*.eu.example.com", "240.240.0.2", canonical=False),
        service("exact.eu.example.com", "240.240.0.3", canonical=False),
    )
    found = {
        name: resolve(known, name, V4, SHOP)
        for name in ("a.example.com", "a.b.example.com", "a.eu.example.com", "exact.eu.example.com", "example.com")
    }
    assert {name: answer and answer.addresses for name, answer in found.items()} == {
        "a.example.com": ("240.240.0.1",),
        "a.b.example.com": ("240.240.0.1",),
        "a.eu.example.com": ("240.240.0.2",),
        "exact.eu.example.com": ("240.240.0.3",),
        "example.com": None,
    }
    assert resolve(known, "a.example.com.svc.cluster.local", V4, SHOP) == Answer(
        owner="a.example.com", addresses=("240.240.0.1",)
    )


def test_a_wildcard_without_address_is_left_to_others() -> None:
    assert resolve(directory(service("*.example.com", canonical=False)), "a.example.com", V4, SHOP) is None


def test_own_namespace_then_canonical_then_the_first() -> None:
    known = directory(
        service("api.example.com", "240.240.0.1", namespace="aaa", canonical=False),
        service("api.example.com", "240.240.0.2", namespace="bbb", canonical=True),
        service("api.example.com", "240.240.0.3", namespace="shop", canonical=False),
    )

    def ask(namespace: str) -> tuple[str, ...]:
        answer = resolve(known, "api.example.com", V4, Client(namespace=namespace))
        return answer.addresses if answer else ()

    assert [ask("shop"), ask("other"), ask("")] == [("240.240.0.3",), ("240.240.0.2",), ("240.240.0.2",)]
    known.remove("bbb/api.example.com")
    assert ask("other") == ("240.240.0.1",)


def test_private_services_are_hidden_from_other_namespaces() -> None:
    known = directory(service("api.example.com", "240.240.0.1", private=True, canonical=False))
    assert resolve(known, "api.example.com", V4, SHOP) is not None
    assert resolve(known, "api.example.com", V4, Client(namespace="other")) is None
    assert resolve(known, "api.example.com", V4, Client()) is None


def test_a_headless_service_answers_its_ready_endpoints() -> None:
    known = directory(
        DATABASE,
        workload("db-0", "10.244.1.5", "fd00::5", of=DATABASE),
        workload("db-1", "10.244.1.6", of=DATABASE, healthy=False),
        workload("stranger", "10.244.1.7"),
    )
    answer = resolve(known, "db", BOTH, SHOP)
    assert answer is not None
    assert answer.addresses == ("10.244.1.5", "fd00::5")


def test_a_headless_service_may_publish_what_is_not_ready() -> None:
    eager = service("db.shop.svc.cluster.local", balancing=LoadBalancing(unhealthy_too=True))
    known = directory(eager, workload("db-1", "10.244.1.6", of=eager, healthy=False))
    assert resolve(known, "db", V4, SHOP) == Answer(owner=eager.hostname, addresses=("10.244.1.6",))
    assert resolve(known, "db-1.db", V4, SHOP) == Answer(owner=f"db-1.{eager.hostname}", addresses=("10.244.1.6",))


def test_a_headless_service_answers_in_its_own_families_only() -> None:
    headless = service("db.shop.svc.cluster.local", families=IpFamilies.IPV4_ONLY)
    known = directory(headless, workload("db-0", "10.244.1.5", "fd00::5", of=headless))
    assert resolve(known, "db", V6, SHOP) == Answer(owner=headless.hostname)


def test_a_headless_service_without_endpoints_exists() -> None:
    assert resolve(directory(DATABASE), "db", V4, SHOP) == Answer(owner=DATABASE.hostname)


def test_pods_of_a_headless_service_have_names() -> None:
    known = directory(
        DATABASE,
        SERVER,
        workload("db-0", "10.244.1.5", of=DATABASE),
        workload("random-xyz", "10.244.1.6", of=DATABASE, hostname="db-1"),
        workload("db-2", "10.244.1.7", of=DATABASE, healthy=False),
        workload("server-0", "10.244.1.8", of=SERVER),
    )

    def ask(name: str) -> tuple[str, ...] | None:
        answer = resolve(known, name, V4, SHOP)
        return answer.addresses if answer else None

    assert ask("db-0.db.shop.svc.cluster.local") == ("10.244.1.5",)
    assert ask("DB-0.db") == ("10.244.1.5",)
    assert ask("db-1.db.shop") == ("10.244.1.6",)
    assert ask("db-2.db.shop.svc.cluster.local") is None
    assert ask("db-9.db.shop.svc.cluster.local") is None
    assert ask("server-0.server.shop.svc.cluster.local") is None


def test_hosts_outside_without_virtual_address_are_left_to_others() -> None:
    passthrough = service("one.example.com", canonical=False, balancing=LoadBalancing(mode=BalancingMode.PASSTHROUGH))
    by_name = service("two.example.com", canonical=False)
    listed = service("three.example.com", canonical=False)
    known = directory(
        passthrough,
        by_name,
        listed,
        workload("entry", of=by_name, hostname="backend.example.com"),
        workload("address", "203.0.113.5", of=listed),
    )
    assert resolve(known, "one.example.com", V4, SHOP) is None
    assert resolve(known, "two.example.com", V4, SHOP) is None
    assert resolve(known, "three.example.com", V4, SHOP) == Answer(
        owner="three.example.com", addresses=("203.0.113.5",)
    )


def test_only_the_cluster_dns_says_that_a_name_does_not_exist() -> None:
    known = directory(SERVER)
    final = Client(namespace="shop", is_final=True)
    name = "nothing.shop.svc.cluster.local"
    assert resolve(known, name, V4, SHOP) is None
    assert resolve(known, name, V4, final) == Answer(owner=name, exists=False)
    assert resolve(known, "www.example.com", V4, final) is None
    assert resolve(known, "notcluster.local", V4, final) is None


@pytest.mark.parametrize("name", ["cluster.local", "svc.cluster.local", "shop.svc.cluster.local"])
def test_levels_above_services_exist(name: str) -> None:
    assert resolve(directory(SERVER), name, V4, Client(is_final=True)) == Answer(owner=name)


def test_a_level_without_services_does_not_exist() -> None:
    """Some clients end their search at a name that exists without addresses."""
    known, name = directory(SERVER), "bank.svc.cluster.local"
    assert resolve(known, name, V4, Client(is_final=True)) == Answer(owner=name, exists=False)


def test_another_domain() -> None:
    known = directory(service("server.shop.svc.corp.example", "10.96.0.10"))
    answer = resolve(known, "server", V4, SHOP, "corp.example")
    assert answer is not None
    assert answer.addresses == ("10.96.0.10",)


NAMES = st.lists(st.sampled_from(["a", "b", "*", "svc", "cluster", "local", "shop", "com", ""]), max_size=7).map(
    ".".join
)


@given(hosts=st.lists(NAMES, max_size=6), name=NAMES | st.text(max_size=80), is_final=st.booleans())
def test_an_answer_is_the_host_asked_for_or_what_it_may_mean(hosts: list[str], name: str, is_final: bool) -> None:
    known = directory(*(service(host, "10.0.0.1") for host in hosts))
    answer = resolve(known, name, V4, Client(namespace="shop", is_final=is_final))
    if answer is None:
        assert name.lower() not in hosts
    elif answer.addresses:
        assert answer.owner.startswith(name.lower()) or name.lower().startswith(answer.owner)
