"""STRICT and PERMISSIVE, for clients outside the mesh; pods that opted out are left alone."""

from collections.abc import Iterator

import pytest
from tests.live.harness import Mesh, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

POLICY = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  mtls: {{mode: {mode}}}
"""
PORT_POLICY = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: for-server, namespace: default}
spec:
  selector: {matchLabels: {app: server}}
  mtls: {mode: STRICT}
  portLevelMtls: {8080: {mode: PERMISSIVE}}
"""


@pytest.fixture(autouse=True)
def put_back(mesh: Mesh) -> Iterator[None]:
    yield
    for name, namespace in (("default", "default"), ("default", "istio-system"), ("for-server", "default")):
        text = POLICY.format(name=name, namespace=namespace, mode="STRICT")
        mesh.run("delete", "-f", "-", given=text, check=False)
    eventually(lambda: admitted(mesh, "server", 8080), what="permissive again")


def admitted(mesh: Mesh, pod: str, port: int) -> bool:
    """Whether a plain client from outside the mesh gets an answer."""
    url = f"http://{mesh.address(pod)}:{port}/" if port == 8080 else f"telnet://{mesh.address(pod)}:{port}"
    arguments = ["curl", "-s", "-m", "3", url]
    if port == 8080:
        return mesh.exec("outside/stranger", *arguments, check=False).startswith(f"{pod} saw")
    script = f"exec 3<>/dev/tcp/{mesh.address(pod)}/{port}; echo idle >&3; printf x >&3; head -c1 <&3"
    return mesh.exec("outside/stranger", "timeout", "3", "bash", "-c", script, check=False) == "x"


def test_permissive_admits_and_strict_refuses(mesh: Mesh) -> None:
    assert admitted(mesh, "server", 8080)
    mesh.apply(POLICY.format(name="default", namespace="default", mode="STRICT"))
    eventually(lambda: not admitted(mesh, "server", 8080), what="STRICT in the namespace")
    assert mesh.exec("client", "curl", "-sf", "http://server:8080/").startswith("server saw")
    assert mesh.exec("client", "curl", "-sf", "http://near:8080/").startswith("near saw")


def test_strict_for_the_whole_mesh(mesh: Mesh) -> None:
    mesh.apply(POLICY.format(name="default", namespace="istio-system", mode="STRICT"))
    eventually(lambda: not admitted(mesh, "server", 8080), what="STRICT in the mesh")
    # the namespace's own word is nearer
    mesh.apply(POLICY.format(name="default", namespace="default", mode="PERMISSIVE"))
    eventually(lambda: admitted(mesh, "server", 8080), what="PERMISSIVE in the namespace")


def test_ports_have_the_last_word(mesh: Mesh) -> None:
    assert admitted(mesh, "server", 9000)
    mesh.apply(PORT_POLICY)
    eventually(lambda: not admitted(mesh, "server", 9000), what="STRICT on port 9000")
    assert admitted(mesh, "server", 8080)


def test_a_pod_that_opted_out_is_left_alone(mesh: Mesh) -> None:
    mesh.apply(POLICY.format(name="default", namespace="istio-system", mode="STRICT"))
    eventually(lambda: not admitted(mesh, "server", 8080), what="STRICT in the mesh")
    assert admitted(mesh, "bystander", 8080)
    answer = mesh.exec("client", "curl", "-sf", "http://bystander:8080/")
    assert answer.strip() == f"bystander saw {mesh.address('client')} /"
    annotations = mesh.pod("bystander")["metadata"].get("annotations") or {}
    assert "ambient.istio.io/redirection" not in annotations
    assert mesh.exec("bystander", "nft", "list", "tables") == ""
