"""Hypothesis strategies for the mesh model; small alphabets, so that things meet."""

from __future__ import annotations

import ipaddress

from hypothesis import strategies as st

from sidestep.mesh.model import (
    Action,
    ApplicationProtocol,
    BalancingMode,
    Clause,
    GatewayAddress,
    IpFamilies,
    LoadBalancing,
    Locality,
    Match,
    NamespacedHostname,
    NetworkAddress,
    Policy,
    PolicyScope,
    Port,
    Rule,
    Scope,
    Service,
    ServiceAccountMatch,
    StringMatch,
    TunnelProtocol,
    Workload,
)

namespaces = st.sampled_from(["shop", "shop-2", "bank", "istio-system"])
names = st.sampled_from(["a", "b", "front", "ratings-v1"])
addresses = st.one_of(
    st.sampled_from(["10.0.0.1", "10.0.1.1", "fd00::1"]), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)
)
ports = st.integers(1, 65535) | st.sampled_from([80, 8080])
places = st.sampled_from(["", "x", "y"])
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)

localities = st.builds(Locality, region=places, zone=places, subzone=places)
gateways = st.one_of(
    st.none(),
    st.builds(
        GatewayAddress,
        hostname=st.builds(NamespacedHostname, namespace=namespaces, hostname=names),
        hbone_port=st.integers(0, 65535),
    ),
    st.builds(GatewayAddress, address=st.builds(NetworkAddress, address=addresses, network=places)),
)
service_ports = st.builds(
    Port,
    service_port=ports,
    target_port=st.integers(0, 65535),
    application_protocol=st.sampled_from(ApplicationProtocol),
)
port_lists = st.lists(service_ports, max_size=3).map(tuple)
balancings = st.builds(
    LoadBalancing,
    preference=st.lists(st.sampled_from(Scope), max_size=4, unique=True).map(tuple),
    mode=st.sampled_from(BalancingMode),
    unhealthy_too=st.booleans(),
)


def _block_addresses() -> st.SearchStrategy[NetworkAddress]:
    return st.builds(
        NetworkAddress,
        address=st.ip_addresses(v=4).map(str),
        network=places,
        prefix_length=st.none() | st.integers(0, 31),
    )


services = st.builds(
    Service,
    name=names,
    namespace=namespaces,
    hostname=names.map(lambda name: f"{name}.example.com"),
    addresses=st.lists(_block_addresses() | st.builds(NetworkAddress, address=addresses), max_size=3).map(tuple),
    ports=port_lists,
    subject_alt_names=st.lists(texts, max_size=2).map(tuple),
    waypoint=gateways,
    load_balancing=balancings,
    ip_families=st.sampled_from(IpFamilies),
    canonical=st.booleans(),
    private=st.booleans(),
)
workloads = st.builds(
    Workload,
    uid=st.builds("Kubernetes//Pod/{}/{}".format, namespaces, names),
    name=names,
    namespace=namespaces,
    addresses=st.lists(addresses, max_size=2).map(tuple),
    hostname=texts,
    network=places,
    cluster_id=places,
    trust_domain=st.sampled_from(["cluster.local", "td"]),
    service_account=names,
    node=places,
    canonical_name=texts,
    canonical_revision=texts,
    workload_type=st.sampled_from(["deployment", "cronjob", "pod", "job"]),
    workload_name=texts,
    tunnel_protocol=st.sampled_from(TunnelProtocol),
    native_tunnel=st.booleans(),
    services=st.dictionaries(st.sampled_from(["shop/a.example.com", "bank/b.example.com", "x/y"]), port_lists),
    authorization_policies=st.lists(st.builds("{}/{}".format, namespaces, names), max_size=3).map(tuple),
    healthy=st.booleans(),
    locality=localities,
    host_network=st.booleans(),
    capacity=st.integers(0, 2**32 - 1),
    waypoint=gateways,
    network_gateway=gateways,
)

# --- policies --------------------------------------------------------------------------------------------------------


def blocks() -> st.SearchStrategy[str]:
    """Canonical CIDRs."""
    four = st.builds("10.0.{}.{}/{}".format, st.integers(0, 1), st.integers(0, 3), st.integers(8, 32))
    six = st.builds("fd00::{}/{}".format, st.integers(0, 3), st.integers(0, 128))
    return (four | six).map(lambda block: str(ipaddress.ip_network(block, strict=False)))


def _strings(words: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[StringMatch, ...]]:
    one = st.one_of(
        st.just(StringMatch()),
        st.builds(StringMatch, exact=words),
        st.builds(StringMatch, prefix=words.map(lambda word: word[:5])),
        st.builds(StringMatch, suffix=words.map(lambda word: word[-3:])),
    )
    return st.lists(one, max_size=2).map(tuple)


principals = st.builds("{}/ns/{}/sa/{}".format, st.sampled_from(["cluster.local", "td"]), namespaces, names)
_accounts = st.lists(st.builds(ServiceAccountMatch, namespace=namespaces, service_account=names), max_size=2).map(tuple)
_blocks = st.lists(blocks(), max_size=2).map(tuple)
_ports = st.lists(st.sampled_from([80, 8080, 9090]), max_size=2).map(tuple)
_none = st.just(())

matches = st.builds(
    Match,
    namespaces=_none | _strings(namespaces),
    not_namespaces=_none | _strings(namespaces),
    service_accounts=_none | _accounts,
    not_service_accounts=_none | _accounts,
    principals=_none | _strings(principals),
    not_principals=_none | _strings(principals),
    source_blocks=_none | _blocks,
    not_source_blocks=_none | _blocks,
    destination_blocks=_none | _blocks,
    not_destination_blocks=_none | _blocks,
    destination_ports=_none | _ports,
    not_destination_ports=_none | _ports,
)
clauses = st.builds(Clause, matches=st.lists(matches, max_size=2).map(tuple))
rules = st.builds(Rule, clauses=st.lists(clauses, max_size=3).map(tuple))
policies = st.builds(
    Policy,
    name=names,
    namespace=namespaces,
    scope=st.sampled_from(PolicyScope),
    action=st.sampled_from(Action),
    rules=st.lists(rules, max_size=2).map(tuple),
    dry_run=st.booleans(),
)
