"""CPU micro-benchmarks of the control plane, each as a ratio against a baseline of the same run.

    .venv/bin/python bench/micro.py [--pods N] [--rounds N]

The best of the rounds counts: nothing makes pure code faster than it is, and much makes it slower.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

Work = Callable[[], object]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Two pieces of work; the first is measured against the second."""

    title: str
    work: Work
    baseline_title: str
    baseline: Work


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """CPU milliseconds of one run, the best of all."""

    work: float
    baseline: float

    @property
    def ratio(self) -> float:
        """Work by baseline."""
        return self.work / self.baseline if self.baseline else float("inf")


def timed(case: Case, rounds: int, clock: Callable[[], float] = time.process_time) -> Timing:
    """The two take turns."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for index, work in enumerate((case.work, case.baseline)):
            gc.collect()
            began = clock()
            work()
            best[index] = min(best[index], clock() - began)
    return Timing(work=best[0] * 1000, baseline=best[1] * 1000)


def cases(pods: int) -> Iterator[Case]:
    """All of them, for a mesh of so many pods."""
    from bench.mesh_of import resources

    from sidestep.mesh.build import MeshSettings, build

    settings = MeshSettings(trust_domain="cluster.local")
    services = max(10, pods // 100)
    whole, tenth = resources(pods=pods, services=services), resources(pods=pods // 10, services=services // 10)
    yield Case(
        title=f"mesh.build, {pods} pods",
        work=lambda: build(whole, settings, {}),
        baseline_title="a tenth of it, 10 times",
        baseline=lambda: [build(tenth, settings, {}) for _ in range(10)],
    )
    mesh = build(whole, settings, {}).mesh
    yield from _wire_cases(tuple(mesh.workloads.values()))
    yield _translator_case(mesh)
    yield _fan_out_case(pods)


def _wire_cases(workloads: tuple[object, ...]) -> Iterator[Case]:
    from sidestep.mesh.model import Workload
    from sidestep.mesh.wds import decode_address, encode_workload

    typed = [each for each in workloads if isinstance(each, Workload)]
    encoder = msgspec.json.Encoder()
    messages = [encode_workload(each).SerializeToString() for each in typed]
    yield Case(
        title=f"WDS, encode {len(typed)} workloads",
        work=lambda: [encode_workload(each).SerializeToString(deterministic=True) for each in typed],
        baseline_title="msgspec's JSON of them",
        baseline=lambda: [encoder.encode(each) for each in typed],
    )
    yield Case(
        title=f"WDS, decode {len(typed)} workloads",
        work=lambda: [decode_address(each) for each in messages],
        baseline_title="encoding them",
        baseline=lambda: [encode_workload(each).SerializeToString(deterministic=True) for each in typed],
    )


def _translator_case(mesh: object) -> Case:
    from bench.mesh_of import SERVICE_PORT, service_address

    from sidestep.mesh.model import Mesh
    from sidestep.node.settings import NodeSettings
    from sidestep.node.translator import destinations
    from sidestep.node.view import MeshView

    assert isinstance(mesh, Mesh)
    settings, view = NodeSettings(node="node-1", mesh_ranges=("10.0.0.0/8",)), MeshView()
    for service in mesh.services.values():
        view.put(service)
    for workload in mesh.workloads.values():
        view.put(workload)

    def translate() -> tuple[bytes, bytes]:
        found = destinations.find(view, settings, service_address(0), SERVICE_PORT)
        assert isinstance(found, destinations.Destination)
        cluster = destinations.destination_cluster(settings, found)
        assignment = destinations.load_assignment(settings, found, {})
        return cluster.SerializeToString(deterministic=True), assignment.SerializeToString(deterministic=True)

    found = destinations.find(view, settings, service_address(0), SERVICE_PORT)
    assert isinstance(found, destinations.Destination)
    ready = destinations.load_assignment(settings, found, {})
    return Case(
        title=f"a destination's cluster and its {len(found.endpoints)} endpoints, 10 times",
        work=lambda: [translate() for _ in range(10)],
        baseline_title="copying and encoding them",
        baseline=lambda: [
            type(ready).FromString(ready.SerializeToString(deterministic=True)).SerializeToString() for _ in range(10)
        ],
    )


def _fan_out_case(resources: int, streams: int = 100) -> Case:
    """Without the network: what the server works out and encodes for each stream."""
    from google.protobuf.any_pb2 import Any
    from google.protobuf.wrappers_pb2 import StringValue

    from sidestep.wire import envoy as pb
    from sidestep.xds.cache import Cache
    from sidestep.xds.peer import Peer
    from sidestep.xds.resource import Resource
    from sidestep.xds.stream import Rules, Stream

    kind = "type.googleapis.com/google.protobuf.StringValue"
    cache = Cache()
    made = [Resource.of(f"resource-{number}", StringValue(value="x" * 200)) for number in range(resources)]
    cache.update(kind, made)
    cache.mark_complete(kind)

    def serve(count: int) -> int:
        sent = 0
        for number in range(count):
            stream = Stream(
                cache, Peer(node=pb.Node(id=f"node-{number}")), Rules(visible=lambda _peer, _resource: True)
            )
            stream.receive(pb.DeltaDiscoveryRequest(type_url=kind, resource_names_subscribe=["*"]))
            sent += sum(map(len, stream.take().responses))
        assert sent > count * resources * 200
        return sent

    def encode() -> bytes:
        parts = [
            pb.Resource(name=each.name, version=each.version, resource=Any(type_url=kind, value=each.body))
            for each in made
        ]
        return pb.DeltaDiscoveryResponse(resources=parts).SerializeToString()

    return Case(
        title=f"xDS, {resources} resources to {streams} streams",
        work=lambda: serve(streams),
        baseline_title=f"encoding them for one, {streams} times",
        baseline=lambda: [encode() for _ in range(streams)],
    )


def main() -> None:
    """Prints one line a case."""
    from sidestep.cli.tables import table

    parser = argparse.ArgumentParser(description="CPU micro-benchmarks of the control plane.")
    parser.add_argument("--pods", type=int, default=10_000, help="size of the mesh (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts (default %(default)s)")
    options = parser.parse_args()
    rows = []
    for case in cases(max(100, options.pods)):
        timing = timed(case, max(1, options.rounds))
        figures = (f"{timing.work:.1f} ms", case.baseline_title, f"{timing.baseline:.1f} ms", f"{timing.ratio:.2f}")
        rows.append((case.title, *figures))
    print(table(("work", "CPU", "baseline", "CPU", "ratio"), rows))


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    main()
