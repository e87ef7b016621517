import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from sidestep.api.parse import parse_documents
from sidestep.api.resources import Resources
from sidestep.controller.allocations import AllocationFile
from sidestep.controller.certificates import Placement
from sidestep.controller.metrics import ControllerMetrics
from sidestep.controller.reconcile import Build, Reconciler
from sidestep.controller.status import StatusBoard
from sidestep.identity.spiffe import SpiffeId
from sidestep.mesh.build import BuildResult, MeshSettings, build
from sidestep.source.folder import Snapshot
from sidestep.wire import istio
from sidestep.xds.cache import Cache

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, uid: one}
spec: {nodeName: node-1, serviceAccountName: web, containers: [{name: main, image: none}]}
status: {phase: Running, podIP: 10.244.0.5, podIPs: [{ip: 10.244.0.5}]}
"""
WEB = SpiffeId.workload("cluster.local", "shop", "web")


def _snapshot(text: str) -> Snapshot:
    result = parse_documents(text, file="a.yaml")
    resources = Resources.of(each.resource for each in result.resources)
    return Snapshot(resources=resources, problems=result.problems)


async def _in_turn(*snapshots: Snapshot) -> AsyncIterator[Snapshot]:
    for each in snapshots:
        yield each


class Bench:
    """A reconciler and what it fills."""

    def __init__(self, folder: Path, build_mesh: Build = build) -> None:
        self.cache, self.placement = Cache(), Placement()
        self.status = folder / "status.json"
        self.reconciler = Reconciler(
            settings=MeshSettings(),
            cache=self.cache,
            placement=self.placement,
            board=StatusBoard(self.status),
            allocations=AllocationFile(folder / "allocations.json"),
            metrics=ControllerMetrics(),
            build_mesh=build_mesh,
        )


async def test_fills_cache_placement_and_status(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert not bench.reconciler.published.is_set()
    await bench.reconciler.run(_in_turn(_snapshot(POD + "---\nkind: Pod\n")))
    assert bench.reconciler.published.is_set()
    assert len(bench.cache.snapshot(istio.ADDRESS)) == 1
    assert bench.placement.runs_on(WEB, "node-1")
    assert not bench.placement.runs_on(WEB, "node-2")
    assert not bench.placement.runs_on(WEB, "")
    status = json.loads(bench.status.read_bytes())
    assert status["workloads"] == 1
    assert status["problems"][0]["file"] == "a.yaml"
    await bench.reconciler.run(_in_turn(_snapshot("")))
    assert bench.cache.snapshot(istio.ADDRESS) == ()
    assert not bench.placement.runs_on(WEB, "node-1")


async def test_a_failed_build_keeps_the_mesh_and_the_next_one_mends(tmp_path: Path) -> None:
    broken = False

    def breakable(resources: Resources, settings: MeshSettings, allocations: Mapping[str, str]) -> BuildResult:
        if broken:
            raise RuntimeError("out of order")
        return build(resources, settings, allocations)

    bench = Bench(tmp_path, breakable)
    await bench.reconciler.run(_in_turn(_snapshot(POD)))
    broken = True
    await bench.reconciler.run(_in_turn(_snapshot("")))
    assert len(bench.cache.snapshot(istio.ADDRESS)) == 1
    assert json.loads(bench.status.read_bytes())["failure"] == "RuntimeError: out of order"
    broken = False
    await bench.reconciler.run(_in_turn(_snapshot("")))
    assert bench.cache.snapshot(istio.ADDRESS) == ()
    assert json.loads(bench.status.read_bytes())["failure"] == ""


async def test_the_loop_goes_on_while_a_mesh_is_built(tmp_path: Path) -> None:
    loop_went_on = threading.Event()

    def slow(resources: Resources, settings: MeshSettings, allocations: Mapping[str, str]) -> BuildResult:
        assert loop_went_on.wait(5)
        return build(resources, settings, allocations)

    bench = Bench(tmp_path, slow)
    running = asyncio.create_task(bench.reconciler.run(_in_turn(_snapshot(POD))))
    await asyncio.sleep(0.05)
    assert not bench.reconciler.published.is_set()
    loop_went_on.set()
    await running
    assert bench.reconciler.published.is_set()
    assert len(bench.cache.snapshot(istio.ADDRESS)) == 1
