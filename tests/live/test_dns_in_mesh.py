"""Names as pods of a running mesh see them: asked by the library of the system, and as bare queries."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.live.harness import Mesh, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

RESOURCES = """
apiVersion: v1
kind: Namespace
metadata: {name: names, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Pod
metadata: {name: asker, namespace: names}
spec:
  nodeName: node-2
  containers: [{name: main, image: any, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Service
metadata: {name: near, namespace: names}
spec: {selector: {app: asker}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alone, namespace: names}
spec: {clusterIP: None, selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: servers}
spec: {clusterIP: None, selector: {app: server}, ports: [{port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wide, namespace: names}
spec:
  hosts: ["*.wide.example.com"]
  addresses: [198.51.100.20]
  resolution: STATIC
  ports: [{number: 80, name: http}]
  endpoints: [{address: 198.51.100.21}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: secret, namespace: names}
spec:
  hosts: [secret.example.com]
  exportTo: ["."]
  resolution: STATIC
  ports: [{number: 80, name: http}]
  endpoints: [{address: 198.51.100.21}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: public, namespace: names}
spec:
  hosts: [public.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http}]
  endpoints: [{address: 198.51.100.21}]
"""
# NAME TYPE TRANSPORT → {"code", "records", "seconds"}, from the first resolver of the pod's resolv.conf
ASK = """
import json, sys, time
import dns.message, dns.query, dns.rcode
resolver = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver"))
name, kind, transport = sys.argv[1:]
query = dns.message.make_query(name, kind)
began = time.monotonic()
answer = getattr(dns.query, transport)(query, resolver, timeout=5)
records = [str(record) for group in answer.answer for record in group]
print(json.dumps(dict(code=dns.rcode.to_text(answer.rcode()), records=records, seconds=time.monotonic() - began)))
"""
DOMAIN = "svc.cluster.local"


@pytest.fixture(scope="module", autouse=True)
def names(mesh: Mesh) -> Iterator[None]:
    mesh.apply(RESOURCES)
    try:
        eventually(lambda: mesh.pod("asker", "names").get("status", {}).get("phase") == "Running", what="asker")
        enrolled = "ambient.istio.io/redirection"
        eventually(lambda: enrolled in (mesh.pod("asker", "names")["metadata"].get("annotations") or {}), what="asker")
        eventually(lambda: ask(mesh, "public.example.com")["records"], what="the entries are known")
        yield
    finally:
        mesh.run("delete", "-f", "-", given=RESOURCES, check=False)


def ask(mesh: Mesh, name: str, kind: str = "A", transport: str = "udp", pod: str = "client") -> Any:
    """A query for `name` as it is, without the search list."""
    return json.loads(mesh.exec(pod, sys.executable, "-c", ASK, name, kind, transport))


def look_up(mesh: Mesh, name: str, pod: str = "client", family: str = "ahostsv4") -> set[str]:
    """What an application gets, by way of the search list."""
    return {line.split()[0] for line in mesh.exec(pod, "getent", family, name, check=False).splitlines()}


def service(mesh: Mesh, name: str, namespace: str = "default") -> list[str]:
    found = json.loads(mesh.run("get", "service", name, "-n", namespace, "-o", "json"))["spec"]["clusterIPs"]
    return [str(address) for address in found]


def test_every_length_of_a_name_means_the_service(mesh: Mesh) -> None:
    address = service(mesh, "server")[0]
    for name in (
        "server",
        "server.default",
        "server.default.svc",
        f"server.default.{DOMAIN}",
        f"SERVER.default.{DOMAIN}.",
    ):
        assert look_up(mesh, name) == {address}, name


def test_both_families_and_both_transports(mesh: Mesh) -> None:
    four, six = service(mesh, "server")
    name = f"server.default.{DOMAIN}"
    for transport in ("udp", "tcp"):
        for kind, address in (("A", four), ("AAAA", six)):
            answer = ask(mesh, name, kind, transport)
            assert (answer["code"], answer["records"]) == ("NOERROR", [address]), (kind, transport)
    # it exists, without an address of that family
    answer = ask(mesh, f"near.default.{DOMAIN}", "AAAA")
    assert (answer["code"], answer["records"]) == ("NOERROR", [])


def test_names_of_the_own_namespace_come_first(mesh: Mesh) -> None:
    assert look_up(mesh, "near", pod="names/asker") == set(service(mesh, "near", "names"))
    assert look_up(mesh, "near") == set(service(mesh, "near"))
    assert look_up(mesh, "near.names") == set(service(mesh, "near", "names"))
    assert look_up(mesh, "near.default", pod="names/asker") == set(service(mesh, "near"))
    assert look_up(mesh, "server", pod="names/asker") == set(), "no short name of another namespace"


def test_headless_names_are_the_addresses_of_pods(mesh: Mesh) -> None:
    addresses = {each["ip"] for each in mesh.pod("server")["status"]["podIPs"]}
    assert look_up(mesh, "servers") | look_up(mesh, "servers", family="ahostsv6") >= {mesh.address("server")}
    four = ask(mesh, f"servers.default.{DOMAIN}")
    assert set(four["records"]) == {address for address in addresses if ":" not in address}
    nobody = ask(mesh, f"alone.names.{DOMAIN}")
    assert (nobody["code"], nobody["records"]) == ("NOERROR", [])


@pytest.mark.parametrize("pod", ["client", "outside/stranger"])
@pytest.mark.parametrize("name", ["nothing", "nothing.default", f"nothing.default.{DOMAIN}"])
def test_unknown_names_do_not_exist_at_once(mesh: Mesh, pod: str, name: str) -> None:
    full = name if name.endswith(DOMAIN) else f"{name}.{DOMAIN}"
    answer = ask(mesh, full, pod=pod)
    assert answer["code"] == "NXDOMAIN", answer
    assert answer["seconds"] < 1
    assert look_up(mesh, name, pod) == set()


def test_names_from_elsewhere_do_not_hang(mesh: Mesh) -> None:
    """Whatever the resolvers of this host make of the name, its application hears of it before it gives up."""
    answer = ask(mesh, "nothing.invalid")
    assert answer["code"] in {"NXDOMAIN", "SERVFAIL", "REFUSED"}
    assert answer["seconds"] < 5


def test_hosts_of_service_entries(mesh: Mesh) -> None:
    [four], [six] = ask(mesh, "public.example.com")["records"], ask(mesh, "public.example.com", "AAAA")["records"]
    assert four.startswith("240.240.")
    assert six.startswith("2001:2:")
    assert look_up(mesh, "public.example.com") == {four}
    for name in ("a.wide.example.com", "a.b.wide.example.com"):
        assert look_up(mesh, name) == {"198.51.100.20"}


def test_an_entry_that_is_not_exported_is_known_to_its_own_namespace_only(mesh: Mesh) -> None:
    [address] = look_up(mesh, "secret.example.com", pod="names/asker")
    assert address.startswith("240.240.")
    assert not any(found.startswith("240.240.") for found in look_up(mesh, "secret.example.com"))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_pods_outside_the_mesh_ask_the_cluster_dns(mesh: Mesh, transport: str) -> None:
    answer = ask(mesh, f"server.default.{DOMAIN}", transport=transport, pod="outside/stranger")
    assert answer["records"] == [service(mesh, "server")[0]]
    assert look_up(mesh, "server.default", pod="outside/stranger") == {service(mesh, "server")[0]}
    assert look_up(mesh, "server", pod="outside/stranger") == set(), "its namespace is another one"


def test_a_new_name_is_known_at_once_and_a_deleted_one_is_not(mesh: Mesh) -> None:
    name = f"fresh.default.{DOMAIN}"
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: fresh}\nspec: {ports: [{port: 80}]}\n"
    assert ask(mesh, name)["code"] == "NXDOMAIN"
    mesh.apply(text)
    try:
        eventually(lambda: ask(mesh, name)["records"] == [service(mesh, "fresh")[0]], what="the new name")
    finally:
        mesh.run("delete", "-f", "-", given=text)
    eventually(lambda: ask(mesh, name)["code"] == "NXDOMAIN", what="the name is gone")
