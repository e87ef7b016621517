from __future__ import annotations

from pathlib import Path

from bench.loads import PATHS
from bench.manifests import manifests, text

from sidestep.api.kubernetes.pod import Pod
from sidestep.api.parse import parse_documents


def test_they_are_valid_and_name_the_pods_of_every_path() -> None:
    made = text(manifests(envoy=Path("/bin/envoy"), configuration=Path("/tmp/server.json")))
    parsed = parse_documents(made, file="pods.yaml")
    assert parsed.problems == ()
    pods = {item.resource.metadata.name for item in parsed.resources if isinstance(item.resource, Pod)}
    assert pods == {pod for path in PATHS for pod in (path.client, path.server)}


def test_baselines_stay_out_of_the_mesh_and_run_where_their_counterparts_run() -> None:
    documents = list(manifests(envoy=Path("/bin/envoy"), configuration=Path("/tmp/server.json")))
    pods = {each["metadata"]["name"]: each for each in documents if each["kind"] == "Pod"}
    paths = {path.name: path for path in PATHS}
    for path in PATHS:
        baseline = paths[path.baseline]
        for name, other in ((path.client, baseline.client), (path.server, baseline.server)):
            assert pods[name]["spec"]["nodeName"] == pods[other]["spec"]["nodeName"]
            assert pods[other]["metadata"]["labels"]["istio.io/dataplane-mode"] == "none"
            if path is not baseline:
                assert "istio.io/dataplane-mode" not in pods[name]["metadata"]["labels"]
