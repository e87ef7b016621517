"""A real Envoy with a listener inside a network namespace of its own: crashes, adoption, hand-overs."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidestep.envoy.binary import find_binary, random_base_id
from sidestep.envoy.bootstrap import BootstrapOptions, bootstrap
from sidestep.envoy.capabilities import confined_prefix
from sidestep.envoy.config import duration, in_pod
from sidestep.envoy.errors import RestartFailedError, RestartRefusedError
from sidestep.envoy.hot_restart import HotRestartFiles
from sidestep.envoy.options import EnvoyOptions
from sidestep.envoy.process import command_line
from sidestep.envoy.supervisor import Supervisor
from sidestep.wire import envoy as pb

pytestmark = pytest.mark.live

PORT = 15001


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def inside(namespace: str, make: Callable[[], socket.socket]) -> socket.socket:
    """A socket made in a thread that has entered the namespace."""
    result: list[socket.socket | BaseException] = []

    def run() -> None:
        try:
            with Path(f"/run/netns/{namespace}").open() as file:
                assert ctypes.CDLL(None).setns(file.fileno(), 0x40000000) == 0
            result.append(make())
        except BaseException as error:  # noqa: BLE001
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"eve-{secrets.token_hex(3)}"
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")
    yield name
    ip("netns", "del", name)


class Application:
    """Echoes in the host's namespace; says END after the client's end of stream, which closes nothing else."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)
            # a half-closed connection: the application goes on talking, one line a 50 ms
            for _ in range(400):
                connection.sendall(b"still here\n")
                time.sleep(0.05)

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.fixture
def application() -> Iterator[Application]:
    app = Application()
    yield app
    app.close()


@pytest.fixture
def options(tmp_path: Path, namespace: str, application: Application) -> EnvoyOptions:
    folder = Path("/tmp") / f"eve-{secrets.token_hex(3)}"
    config = bootstrap(
        BootstrapOptions(
            node_id="test", node_cluster="test", xds_socket=folder / "xds.sock", admin_socket=folder / "admin.sock"
        )
    )
    config.ClearField("dynamic_resources")
    listener = config.static_resources.listeners.add(
        name="outbound", address=in_pod("127.0.0.1", PORT, f"/run/netns/{namespace}")
    )
    proxy = pb.TcpProxy(stat_prefix="outbound", cluster="application")
    listener.filter_chains.add().filters.append(pb.Filter(name="tcp", typed_config=pb.any_of(proxy)))
    address = pb.Address(socket_address=pb.SocketAddress(address="127.0.0.1", port_value=application.port))
    endpoint = pb.LbEndpoint(endpoint=pb.Endpoint(address=address))
    config.static_resources.clusters.append(
        pb.Cluster(
            name="application",
            type=pb.Cluster.STATIC,
            connect_timeout=duration(2),
            load_assignment=pb.ClusterLoadAssignment(
                cluster_name="application", endpoints=[pb.LocalityLbEndpoints(lb_endpoints=[endpoint])]
            ),
        )
    )
    return EnvoyOptions(
        binary=find_binary(),
        bootstrap=config,
        folder=folder,
        log_path=tmp_path / "envoy.log",
        command_prefix=confined_prefix(),
        node_name="test",
        ports=frozenset({PORT}),
        ready_seconds=5,
    )


@pytest.fixture
async def clean(options: EnvoyOptions, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EnvoyOptions]:
    base_ids: list[int] = []

    def remembered() -> int:
        base_ids.append(random_base_id())
        return base_ids[-1]

    monkeypatch.setattr("sidestep.envoy.generations.random_base_id", remembered)
    yield options
    left = [path for path in map(HotRestartFiles(options.folder).memory, base_ids) if path.exists()]
    assert len(left) <= 1  # that of the running one; those of crashed ones are gone
    await Supervisor(options).stop()
    for path in options.folder.iterdir():
        assert not path.is_socket(), path
        path.unlink()
    options.folder.rmdir()
    assert not any(path.exists() for path in left)


@contextlib.asynccontextmanager
async def running(options: EnvoyOptions) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(options)
    task = asyncio.create_task(supervisor.run())
    try:
        await asyncio.wait_for(supervisor.ready(), 10)
        yield supervisor
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def connect(namespace: str) -> socket.socket:
    return inside(namespace, lambda: socket.create_connection(("127.0.0.1", PORT), timeout=3))


def echo(connection: socket.socket, text: bytes = b"hello") -> bool:
    connection.sendall(text)
    received = b""
    while len(received) < len(text):
        data = connection.recv(65536)
        if not data:
            return False
        received += data
    return received == text


async def until(condition: Callable[[], bool], seconds: float) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "did not happen in time"
        await asyncio.sleep(0.02)
    return time.monotonic() - start


def alive(pid: int) -> bool:
    return command_line(pid) != ()


async def works(namespace: str) -> bool:
    def attempt() -> bool:
        try:
            with connect(namespace) as connection:
                return echo(connection)
        except OSError:
            return False

    return await asyncio.to_thread(attempt)


async def test_back_within_a_second_after_kill(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        assert await works(namespace)
        (first,) = supervisor.processes()
        os.kill(first.pid, signal.SIGKILL)
        start = time.monotonic()
        while not await works(namespace):
            assert time.monotonic() - start < 1.0
        (second,) = supervisor.processes()
        assert second.pid != first.pid


async def test_a_new_supervisor_adopts_it(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (first,) = supervisor.processes()
        connection = await asyncio.to_thread(connect, namespace)
    assert alive(first.pid)
    with connection:
        async with running(clean) as supervisor:
            assert [process.pid for process in supervisor.processes()] == [first.pid]
            assert echo(connection)
            # a process that is not its child is watched all the same
            os.kill(first.pid, signal.SIGKILL)
            await until(lambda: [p.pid for p in supervisor.processes()] not in ([], [first.pid]), 1.0)
            await asyncio.wait_for(supervisor.ready(), 1)
            assert await works(namespace)


async def test_an_envoy_that_nobody_remembers_is_ended(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (first,) = supervisor.processes()
    (clean.folder / "envoy.json").write_text("{")
    async with running(clean) as supervisor:
        assert not alive(first.pid)
        assert await works(namespace)


class Busy:
    """Echoes on one connection without pause."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.rounds = 0
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                assert echo(self.connection, os.urandom(4096))
                self.rounds += 1
                time.sleep(0.002)
        except BaseException as error:  # noqa: BLE001
            self.error = error

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class NewConnections:
    """Opens connections without pause, in several threads, and counts the failures."""

    def __init__(self, namespace: str) -> None:
        self.done = 0
        self.failures: list[str] = []
        self._namespace = namespace
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._enter, daemon=True) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _enter(self) -> None:
        with Path(f"/run/netns/{self._namespace}").open() as file:
            ctypes.CDLL(None).setns(file.fileno(), 0x40000000)
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", PORT), timeout=5) as connection:
                    if not echo(connection):
                        raise ConnectionError("closed")
                self.done += 1
            except OSError as error:
                self.failures.append(repr(error))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


async def test_a_hand_over_cuts_nothing(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (first,) = supervisor.processes()
        idle, half_closed = [await asyncio.to_thread(connect, namespace) for _ in range(2)]
        busy = Busy(await asyncio.to_thread(connect, namespace))
        assert echo(idle)
        half_closed.shutdown(socket.SHUT_WR)
        load = NewConnections(namespace)
        await asyncio.sleep(0.5)

        hand_over = await supervisor.restart()

        assert hand_over.old.pid == first.pid
        assert hand_over.old.draining
        assert not hand_over.new.draining
        assert (hand_over.new.epoch, first.epoch) == (1, 0)
        await asyncio.sleep(1)
        load.stop()
        rounds = busy.rounds
        await asyncio.sleep(0.2)
        assert busy.rounds > rounds
        busy.stop()
        assert load.failures == []
        assert load.done > 200
        assert busy.error is None
        assert echo(idle)
        assert b"still here" in half_closed.recv(4096)
        await until(lambda: [p.connections for p in supervisor.processes() if p.draining] == [3], 2)

        busy.connection.close()
        idle.close()
        await until(lambda: [p.connections for p in supervisor.processes() if p.draining] == [1], 3)
        assert b"still here" in half_closed.recv(4096)
        half_closed.close()
        await until(lambda: not alive(first.pid), 4)
        # the new one outlives the end of the old one, whose messages it might wait for
        await asyncio.sleep(1)
        assert await works(namespace)
        assert [p.pid for p in supervisor.processes()] == [hand_over.new.pid]


async def test_four_generations_live_side_by_side(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        connections = [await asyncio.to_thread(connect, namespace)]
        for _ in range(4):
            await supervisor.restart()
            connections.append(await asyncio.to_thread(connect, namespace))
        assert [p.epoch for p in supervisor.processes()] == [4, 3, 2, 1, 0]
        assert len({p.pid for p in supervisor.processes()}) == 5
        with pytest.raises(RestartRefusedError, match="4 replaced Envoys are still alive"):
            await supervisor.restart()
        await asyncio.sleep(1.5)
        assert all(echo(connection) for connection in connections)
        # one in the middle ends, and one of its neighbours is killed: nobody else minds
        victim, middle = supervisor.processes()[3].pid, supervisor.processes()[2].pid
        connections[2].close()
        os.kill(victim, signal.SIGKILL)
        await until(lambda: not alive(middle) and not alive(victim), 5)
        await supervisor.restart()
        assert echo(connections[0])
        assert echo(connections[3])
        assert echo(connections[4])
        assert await works(namespace)
        for connection in connections:
            connection.close()
        await until(lambda: len(supervisor.processes()) == 1, 6)
        assert await works(namespace)


async def test_the_new_one_survives_the_crash_of_the_old_one(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        connection = await asyncio.to_thread(connect, namespace)
        hand_over = await supervisor.restart()
        os.kill(hand_over.old.pid, signal.SIGKILL)
        await asyncio.sleep(16)  # a new Envoy that still talked to the old one would abort after 15 s
        assert [p.pid for p in supervisor.processes()] == [hand_over.new.pid]
        assert await works(namespace)
        again = await supervisor.restart()
        assert again.old.pid == hand_over.new.pid
        assert await works(namespace)
        connection.close()


async def test_both_crash(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        connection = await asyncio.to_thread(connect, namespace)
        hand_over = await supervisor.restart()
        for process in (hand_over.old, hand_over.new):
            os.kill(process.pid, signal.SIGKILL)
        start = time.monotonic()
        while not await works(namespace):
            assert time.monotonic() - start < 1.0
        assert [p.epoch for p in supervisor.processes()] == [0]
        connection.close()


async def test_the_new_one_crashes_and_the_old_connections_live(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        connection = await asyncio.to_thread(connect, namespace)
        hand_over = await supervisor.restart()
        os.kill(hand_over.new.pid, signal.SIGKILL)
        start = time.monotonic()
        while not await works(namespace):
            assert time.monotonic() - start < 1.0
        assert all([await works(namespace) for _ in range(30)])
        assert echo(connection)
        connection.close()
        await until(lambda: len(supervisor.processes()) == 1, 4)


def waits_for_configuration(options: EnvoyOptions) -> EnvoyOptions:
    """The same, but it waits for a discovery service that does not exist: it never serves."""
    config = pb.Bootstrap()
    config.CopyFrom(options.bootstrap)
    other = BootstrapOptions(
        node_id="test",
        node_cluster="test",
        xds_socket=options.folder / "xds.sock",
        admin_socket=options.folder / "admin.sock",
    )
    config.dynamic_resources.CopyFrom(bootstrap(other).dynamic_resources)
    return replace(options, bootstrap=config, ready_seconds=1)


async def test_a_failed_hand_over_leaves_the_old_one_in_service(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (first,) = supervisor.processes()
        connection = await asyncio.to_thread(connect, namespace)
    async with running(waits_for_configuration(clean)) as supervisor:
        for _ in range(2):
            with pytest.raises(RestartFailedError, match="was not ready in time"):
                await supervisor.restart()
            assert [p.pid for p in supervisor.processes()] == [first.pid]
            assert await works(namespace)
    async with running(clean) as supervisor:
        hand_over = await supervisor.restart()
        assert hand_over.old.pid == first.pid
        assert echo(connection)
        assert await works(namespace)
        connection.close()


async def test_the_old_one_dies_during_the_hand_over(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (first,) = supervisor.processes()
    stuck = replace(waits_for_configuration(clean), ready_seconds=10)
    async with running(stuck) as supervisor:
        restart = asyncio.create_task(supervisor.restart())
        await until(lambda: len(supervisor.processes()) == 2, 3)
        await asyncio.sleep(0.3)
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(RestartFailedError, match="a fresh one is started"):
            await restart
        await until(lambda: [p.epoch for p in supervisor.processes()] == [0], 1)


async def test_a_hand_over_is_finished_by_the_next_supervisor(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (first,) = supervisor.processes()
        idle = await asyncio.to_thread(connect, namespace)
        await supervisor.restart()
        # as if the supervisor had died before it noticed that the new one serves
        text = (clean.folder / "envoy.json").read_text()
    records = json.loads(text)
    for record in records["records"]:
        record["successor"] = record["epoch"] == 1
        record["replaced_at"] = None
        record["live"] = record["epoch"] == 0
    (clean.folder / "envoy.json").write_text(json.dumps(records))
    async with running(clean) as supervisor:
        await until(lambda: [p.draining for p in supervisor.processes()] == [False, True], 2)
        assert supervisor.processes()[1].pid == first.pid
        assert echo(idle)
        idle.close()
        await until(lambda: not alive(first.pid), 4)


async def test_an_invalid_bootstrap_is_refused_before_anything_happens(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (first,) = supervisor.processes()
    broken = pb.Bootstrap()
    broken.CopyFrom(clean.bootstrap)
    broken.static_resources.listeners[0].filter_chains[0].filters[0].name = ""
    broken.static_resources.listeners[0].filter_chains[0].filters[0].ClearField("typed_config")
    async with running(replace(clean, bootstrap=broken)) as supervisor:
        with pytest.raises(RestartRefusedError, match="would not start"):
            await supervisor.restart()
        assert [p.pid for p in supervisor.processes()] == [first.pid]
        await supervisor.admin.server_info()


async def test_it_has_three_capabilities_and_no_core_dumps(clean: EnvoyOptions, namespace: str) -> None:
    async with running(clean) as supervisor:
        (process,) = supervisor.processes()
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        wanted = (1 << 12) | (1 << 13) | (1 << 21)
        for which in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status[which], 16) == wanted
        assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert "Max core file size        0 " in limits
        # its listener is in another network namespace than the process itself
        assert await works(namespace)


async def test_stop_ends_run_and_every_generation(clean: EnvoyOptions, namespace: str) -> None:
    supervisor = Supervisor(clean)
    run = asyncio.create_task(supervisor.run())
    await asyncio.wait_for(supervisor.ready(), 10)
    connection = await asyncio.to_thread(connect, namespace)
    hand_over = await supervisor.restart()
    await supervisor.stop()
    await asyncio.wait_for(run, 2)
    assert not alive(hand_over.old.pid)
    assert not alive(hand_over.new.pid)
    connection.close()


async def test_the_life_of_a_replaced_one_is_bounded(clean: EnvoyOptions, namespace: str) -> None:
    async with running(replace(clean, parent_shutdown_seconds=2)) as supervisor:
        with await asyncio.to_thread(connect, namespace) as connection:
            hand_over = await supervisor.restart()
            await asyncio.sleep(1)
            assert echo(connection)
            await until(lambda: not alive(hand_over.old.pid), 3)
            assert await works(namespace)
