from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from bench.loads import LOADS, PATHS
from bench.mesh import Mesh, MeshError, Pod, Process, Status
from bench.results import Settings

from bench import runner

WRK = "     50%   63.00us\n     99%    1.05ms\nRequests/sec:   5405.00\n"
IPERF3 = '{"end": {"sum_received": {"bits_per_second": 5e9}}}'


class Pretended(Mesh):
    """A mesh whose commands answer at once; every first iperf3 finds the server busy."""

    busy: ClassVar[str] = "the server is busy"

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.ran: list[tuple[str, str]] = []
        self.refused: set[str] = set()

    def status(self) -> Status:
        pods = {pod for path in PATHS for pod in (path.client, path.server)}
        processes = (
            Process(role="envoy", name="node-1/0", pid=2**22 + 1, node="node-1"),
            Process(role="pod", name="default/client.client", pid=2**22 + 2, node="node-1"),
        )
        return Status(processes=processes, pods=tuple(Pod(name=name, addresses=(name,)) for name in sorted(pods)))

    def first_answer(self, pod: str, url: str, *, patience: float = 60) -> float:
        return 1.0

    def execute(self, pod: str, command: list[str], *, seconds: float) -> str:
        server = next(part for part in (*command[::-1],) if part.startswith("http") or "near" in part or "serv" in part)
        if command[0] == "wrk":
            self.ran.append((pod, server))
            return WRK
        if server not in self.refused:
            self.refused.add(server)
            raise MeshError(self.busy)
        self.ran.append((pod, server))
        return IPERF3


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_PAUSE", 0.0)


@pytest.mark.usefixtures("hasty")
def test_every_load_runs_on_every_path_in_every_round() -> None:
    said: list[str] = []
    mesh = Pretended()
    report = runner.measure(mesh, Settings(rounds=2, seconds=1, concurrency=0), said.append)
    assert [(sample.round, sample.load) for sample in report.samples] == [
        (number, load.name) for number in (0, 1) for load in LOADS for _ in PATHS
    ]
    for number in (0, 1):
        first = [sample.path for sample in report.samples if sample.round == number][: len(PATHS)]
        assert sorted(first) == sorted(path.name for path in PATHS)
        assert first[0] == PATHS[number].name
    assert len(said) == 2 * len(LOADS)
    assert {client for client, _ in mesh.ran} == {"client", "client-direct"}


@pytest.mark.usefixtures("hasty")
def test_a_server_that_stays_busy_is_an_error() -> None:
    class Busy(Pretended):
        def execute(self, pod: str, command: list[str], *, seconds: float) -> str:
            self.refused.clear()
            return super().execute(pod, command, seconds=seconds)

    with pytest.raises(MeshError, match="busy"):
        runner.measure(Busy(), Settings(rounds=1, seconds=1, concurrency=0), lambda _: None)


def test_cpu_of_the_mesh_alone() -> None:
    processes = {
        1: Process(role="envoy", name="node-1/0/draining", pid=1, node="node-1"),
        2: Process(role="envoy", name="node-1/1", pid=2, node="node-1"),
        3: Process(role="pod", name="default/x.y", pid=3, node="node-1"),
        4: Process(role="controller", name="controller", pid=4),
    }
    found = runner.by_title(processes, {1: 1.0, 2: 2.0, 3: 4.0, 4: 8.0})
    assert found == {"envoy node-1": 3.0, "controller": 8.0}
