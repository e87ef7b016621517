from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.mesh.resources import built, resources_of

from sidestep.api.istio.authorization_policy import (
    AuthorizationPolicy,
    AuthorizationPolicySpec,
    From,
    Operation,
    Rule,
    Source,
    To,
    When,
)
from sidestep.api.istio.peer_authentication import MutualTls, PeerAuthentication, PeerAuthenticationSpec
from sidestep.api.istio.selector import LabelsSelector, WorkloadSelector
from sidestep.api.istio.service_entry import ServiceEntry, ServiceEntryPort, ServiceEntrySpec
from sidestep.api.istio.workload_entry import WorkloadEntry, WorkloadEntrySpec
from sidestep.api.kubernetes.container import Container, ContainerPort
from sidestep.api.kubernetes.endpoint_slice import Endpoint, EndpointPort, EndpointSlice, ObjectReference
from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.pod import Pod, PodCondition, PodSpec, PodStatus
from sidestep.api.kubernetes.service import Service, ServicePort, ServiceSpec
from sidestep.api.meta import ObjectMeta, Resource
from sidestep.api.resources import Resources
from sidestep.mesh.authorize import covers
from sidestep.mesh.build import MeshSettings, build
from sidestep.mesh.wds import decode_address, decode_policy, encode_policy, encode_service, encode_workload

SETTINGS = MeshSettings()

TWO_PODS = """
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: front}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: front, namespace: shop, labels: {app: front}}
spec: {containers: [{name: main}]}
status: {phase: Running, podIP: 10.244.1.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec: {containers: [{name: main}]}
status: {phase: Running, podIP: 10.244.1.2, conditions: [{type: Ready, status: "True"}]}
"""

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: NAME, namespace: shop}
spec: {hosts: [NAME.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
"""


def test_a_change_of_one_resource_leaves_the_others_as_they_were() -> None:
    before = built(TWO_PODS).mesh
    after = built(TWO_PODS.replace("10.244.1.2", "10.244.1.3")).mesh
    changed = {uid for uid, workload in after.workloads.items() if before.workloads.get(uid) != workload}
    assert changed == {"Kubernetes//Pod/shop/client"}
    assert after.services == before.services


def test_allocations_are_kept_and_released() -> None:
    first = build(resources_of(ENTRY.replace("NAME", "a")), SETTINGS, {})
    both = resources_of(ENTRY.replace("NAME", "a") + "---" + ENTRY.replace("NAME", "b"))
    second = build(both, SETTINGS, {"shop/a/a.example.com": "240.240.9.9"})
    assert second.allocations["shop/a/a.example.com"] == "240.240.9.9"
    assert len(set(second.allocations.values())) == 2
    third = build(resources_of(ENTRY.replace("NAME", "b")), SETTINGS, second.allocations)
    assert set(third.allocations) == {"shop/b/b.example.com"}
    assert third.allocations["shop/b/b.example.com"] == second.allocations["shop/b/b.example.com"]
    assert set(first.allocations) == {"shop/a/a.example.com"}


def test_settings_reach_the_model() -> None:
    mesh_settings = MeshSettings(trust_domain="td", cluster_id="c", network="n", domain="d.local", root_namespace="r")
    mesh = build(resources_of(TWO_PODS), mesh_settings, {}).mesh
    workload = mesh.workloads["c//Pod/shop/front"]
    assert workload.identity == "spiffe://td/ns/shop/sa/default"
    assert (workload.network, workload.cluster_id) == ("n", "c")
    assert mesh.services["shop/front.shop.svc.d.local"].addresses[0].network == "n"


# --- any resources ---------------------------------------------------------------------------------------------------

_names = st.sampled_from(["a", "b", "c"])
_namespaces = st.sampled_from(["shop", "bank", "istio-system"])
_labels = st.dictionaries(st.sampled_from(["app", "version"]), st.sampled_from(["a", "b"]))
_selectors = st.none() | st.builds(WorkloadSelector, match_labels=_labels)
_addresses = st.sampled_from(["", "10.0.0.1", "10.0.0.2", "FD00::1", "nonsense", "fe80::1%eth0", "unix:///x"])
_ports = st.sampled_from([80, 8080])
_texts = st.lists(st.sampled_from(["*", "a*", "*b", "shop", "10.0.0.0/8", "80", "x/y"]), max_size=2).map(tuple)
_meta = st.builds(
    ObjectMeta,
    name=_names,
    namespace=_namespaces,
    labels=_labels,
    annotations=st.sampled_from([{}, {"ambient.istio.io/redirection": "enabled"}, {"istio.io/dry-run": "true"}]),
)
_service_ports = st.builds(
    ServicePort,
    port=_ports,
    name=_names,
    target_port=st.none() | _ports | _names,
    protocol=st.sampled_from(["TCP", "UDP"]),
)
_endpoint_specs = st.builds(
    WorkloadEntrySpec, address=_addresses, ports=st.dictionaries(_names, _ports), labels=_labels
)
_sources = st.builds(
    Source,
    principals=_texts,
    not_namespaces=_texts,
    ip_blocks=_texts,
    service_accounts=_texts,
    request_principals=_texts,
)
_operations = st.builds(Operation, ports=_texts, not_ports=_texts, methods=_texts)
_rules = st.builds(
    Rule,
    from_=st.none() | st.lists(st.builds(From, source=_sources), max_size=2).map(tuple),
    to=st.none() | st.lists(st.builds(To, operation=_operations), max_size=2).map(tuple),
    when=st.none()
    | st.lists(
        st.builds(When, key=st.sampled_from(["source.ip", "destination.port", "request.x"]), values=_texts), max_size=2
    ).map(tuple),
)
_tls = st.builds(MutualTls, mode=st.sampled_from(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]))
_resources: st.SearchStrategy[Resource] = st.one_of(
    st.builds(Namespace, metadata=st.builds(ObjectMeta, name=_namespaces)),
    st.builds(
        Pod,
        metadata=_meta,
        spec=st.builds(
            PodSpec,
            containers=st.just((Container(name="c", ports=(ContainerPort(container_port=8080, name="a"),)),)),
            host_network=st.booleans(),
        ),
        status=st.builds(
            PodStatus,
            phase=st.sampled_from(["Pending", "Running", "Failed"]),
            pod_ip=_addresses,
            conditions=st.just((PodCondition(type="Ready", status="True"),)),
        ),
    ),
    st.builds(
        Service,
        metadata=_meta,
        spec=st.builds(
            ServiceSpec,
            type=st.sampled_from(["ClusterIP", "ExternalName"]),
            cluster_ip=st.sampled_from(["", "None", "10.96.0.1"]),
            ports=st.lists(_service_ports, max_size=2).map(tuple),
            selector=_labels,
        ),
    ),
    st.builds(
        EndpointSlice,
        metadata=_meta.map(
            lambda meta: msgspec.structs.replace(meta, labels={"kubernetes.io/service-name": meta.name})
        ),
        address_type=st.just("IPv4"),
        ports=st.just((EndpointPort(name="a", port=8080), EndpointPort(port=None))),
        endpoints=st.lists(
            st.builds(
                Endpoint,
                addresses=st.lists(_addresses.filter(bool), max_size=2).map(tuple),
                target_ref=st.none() | st.builds(ObjectReference, kind=st.just("Pod"), name=_names),
            ),
            max_size=2,
        ).map(tuple),
    ),
    st.builds(WorkloadEntry, metadata=_meta, spec=_endpoint_specs),
    st.builds(
        ServiceEntry,
        metadata=_meta,
        spec=st.builds(
            ServiceEntrySpec,
            hosts=st.lists(
                st.sampled_from(["a.example.com", "*.b.example.com", "a.shop.svc.cluster.local"]), max_size=2
            ).map(tuple),
            addresses=st.lists(st.sampled_from(["10.0.0.9", "10.9.0.0/16", "x"]), max_size=1).map(tuple),
            ports=st.just((ServiceEntryPort(number=80, name="a"),)),
            resolution=st.sampled_from(["NONE", "STATIC", "DNS", "DYNAMIC_DNS"]),
            endpoints=st.lists(_endpoint_specs, max_size=2).map(tuple),
            workload_selector=st.none() | st.builds(LabelsSelector, labels=_labels),
        ),
    ),
    st.builds(
        PeerAuthentication,
        metadata=_meta,
        spec=st.builds(
            PeerAuthenticationSpec,
            selector=_selectors,
            mtls=_tls,
            port_level_mtls=st.dictionaries(_ports, _tls),
        ),
    ),
    st.builds(
        AuthorizationPolicy,
        metadata=_meta,
        spec=st.builds(
            AuthorizationPolicySpec,
            selector=_selectors,
            rules=st.lists(_rules, max_size=2).map(tuple),
            action=st.sampled_from(["ALLOW", "DENY", "AUDIT"]),
        ),
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=150, deadline=None)
@given(st.lists(_resources, max_size=8))
def test_any_resources(given_resources: list[Resource]) -> None:
    resources = Resources.of(given_resources)
    result = build(resources, SETTINGS, {})
    assert result == build(resources, SETTINGS, result.allocations), "its own allocations change nothing"
    mesh = result.mesh
    for uid, workload in mesh.workloads.items():
        assert uid == workload.uid
        assert workload.addresses or workload.hostname
        assert set(workload.services) <= set(mesh.services)
        assert set(workload.authorization_policies) <= set(mesh.policies)
        assert all(covers(mesh.policies[key], workload) for key in workload.authorization_policies)
        assert decode_address(encode_workload(workload).SerializeToString()) == workload
    hostnames = [service.hostname for service in mesh.services.values() if service.canonical]
    assert len(hostnames) == len(set(hostnames)), "one canonical service a hostname"
    for service in mesh.services.values():
        assert decode_address(encode_service(service).SerializeToString()) == service
    for policy in mesh.policies.values():
        assert decode_policy(encode_policy(policy).SerializeToString()) == policy
