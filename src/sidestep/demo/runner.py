"""The demo, step by step."""

from __future__ import annotations

import datetime as dt
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape

from sidestep.demo import display, findings, shop
from sidestep.demo.capture import Capture
from sidestep.demo.frames import Evidence
from sidestep.demo.mesh import DemoMesh, LoadReport
from sidestep.demo.traffic import Connection, moment, pairs
from sidestep.local.errors import LocalError

_START_SECONDS = 90.0
_SWITCH_SECONDS = 20.0
_LISTEN_SECONDS = 5.0
_LOG_SECONDS = 40.0
"""Envoy may keep lines of its access log back for ten seconds."""
_SETTLE_SECONDS = 1.0
_REFRESH_SECONDS = 2.0


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo was asked for."""

    state_dir: Path
    check: bool = False
    """True: show everything, judge it, end. False: stay up until Ctrl-C."""
    captures: Path | None = None
    """A folder for what was heard between the nodes, as pcap files."""


def run(options: DemoOptions) -> bool:
    """The whole demo; True if the mesh did all that it should. Whatever happens, nothing is left running."""
    console = display.console()
    mesh = DemoMesh(options.state_dir)
    mesh.claim()
    good = True
    with _ended_by_signals():
        try:
            good = _Demo(mesh, console, options.captures).show()
            if not options.check:
                _stay(mesh, console)
        except KeyboardInterrupt:
            if options.check:
                raise
        except LocalError:
            # the logs are about to be removed
            console.print(display.heading("It did not work; the ends of the logs"), display.logs(mesh.log_ends()))
            raise
        finally:
            _take_down(mesh, console)
    return good


class _Demo:
    """One run."""

    def __init__(self, mesh: DemoMesh, console: Console, captures: Path | None) -> None:
        self._mesh = mesh
        self._console = console
        self._captures = captures
        self._connections: list[Connection] = []
        self._requests = self._failed = 0
        self._since = ""

    def show(self) -> bool:
        """Start, show and prove; True if all is well."""
        self._start()
        meshed = self._traffic()
        plain = self._without_mesh()
        again = self._back_in_mesh()
        instance = self._mesh.instance
        found = findings.judge(
            pairs(self._connections, self._mesh.workloads(), shop.NAMESPACE),
            trust_domain=instance.trust_domain,
            meshed=[meshed, again],
            plain=plain,
            requests=self._requests,
            failed=self._failed,
        )
        self._say(display.heading("What was shown"), display.verdict(found))
        return all(finding.good for finding in found)

    def _start(self) -> None:
        self._say(
            display.heading("A shop of five services on two nodes"),
            display.paragraph(
                "load → front → catalogue\n"
                "             → reviews v1, v2, v3 → ratings    (v2 and v3, on plain TCP)\n\n"
                "They know nothing of a mesh: plain Python, plain HTTP, plain Kubernetes manifests. "
                "One label on their namespace puts them into it."
            ),
        )
        self._mesh.up(_START_SECONDS)
        self._say(display.nodes(self._mesh.workloads()))
        with self._console.status("waiting for the first pages of the shop"):
            self._mesh.wait_until(self._load_succeeds, _SWITCH_SECONDS, "the shop does not answer its customer")
        self._since = moment(dt.datetime.now(dt.UTC))

    def _load_succeeds(self) -> bool:
        """The load generator may be up before those that it talks to: what failed before this does not count."""
        report = self._mesh.load_report()
        return report.requests > report.failed == 0

    def _traffic(self) -> Evidence:
        self._say(display.heading("The mesh is on: who talks to whom"))
        evidence = self._listen("mesh-on")
        with self._console.status("waiting for the proxies' access logs, which come every ten seconds"):
            self._mesh.wait_until(self._all_pairs_seen, _LOG_SECONDS, "the access logs do not show every pair")
        report = self._report()
        found = pairs(self._connections, self._mesh.workloads(), shop.NAMESPACE)
        self._say(
            display.pairs(found, self._mesh.instance.trust_domain, width=self._console.width),
            display.load(report, when="mesh on"),
            display.heading("The mesh is on: what somebody reads on the wire between the nodes"),
            display.evidence(evidence, interface=self._mesh.instance.bridge),
        )
        return evidence

    def _without_mesh(self) -> Evidence:
        self._say(display.heading("The namespace's label is taken off: the same wire"))
        self._switch(in_mesh=False)
        evidence = self._listen("mesh-off")
        self._say(
            display.evidence(evidence, interface=self._mesh.instance.bridge),
            display.load(self._report(), when="mesh off"),
        )
        return evidence

    def _back_in_mesh(self) -> Evidence:
        self._say(display.heading("The label is back"))
        self._switch(in_mesh=True)
        evidence = self._listen("mesh-on-again")
        self._say(
            display.evidence(evidence, interface=self._mesh.instance.bridge),
            display.load(self._report(), when="mesh on"),
        )
        return evidence

    def _switch(self, *, in_mesh: bool) -> None:
        """Requests that are under way go on as they began: listen only when they are over."""
        with self._console.status("the pods join the mesh" if in_mesh else "the pods leave the mesh"):
            self._mesh.enrol(in_mesh=in_mesh, seconds=_SWITCH_SECONDS)
            time.sleep(_SETTLE_SECONDS)

    def _listen(self, name: str) -> Evidence:
        file = None
        if self._captures is not None:
            self._captures.mkdir(parents=True, exist_ok=True)
            file = self._captures / f"{name}.pcap"
        bridge = self._mesh.instance.bridge
        listening = self._console.status(f"listening on {bridge}, between the nodes, for {_LISTEN_SECONDS:.0f} seconds")
        with listening, Capture(bridge, shop.REQUEST_TEXT, file) as capture:
            time.sleep(_LISTEN_SECONDS)
        if file is not None:
            self._say(display.paragraph(f"[dim]kept in {escape(str(file))}[/dim]"))
        return capture.evidence()

    def _all_pairs_seen(self) -> bool:
        self._connections += [c for c in self._mesh.access_logs.new() if c.start_time >= self._since]
        return not findings.missing(pairs(self._connections, self._mesh.workloads(), shop.NAMESPACE))

    def _report(self) -> LoadReport:
        report = self._mesh.load_report()
        self._requests += report.requests
        self._failed += report.failed
        return report

    def _say(self, *parts: object) -> None:
        for part in parts:
            self._console.print(part)


def _stay(mesh: DemoMesh, console: Console) -> None:
    """Until Ctrl-C; on a terminal with the pairs of the last minute."""
    folder = mesh.layout.state_dir
    front = next(workload for workload in mesh.workloads() if workload.label == "front")
    console.print(display.heading("The shop stays up until Ctrl-C"))
    console.print(
        display.paragraph(
            f"in a browser on this host   [bold]http://{front.address}:8080/[/bold]\n"
            f"in another terminal         [bold]export SIDESTEP_STATE_DIR={escape(str(folder))}[/bold]\n"
            "                            sidestep status\n"
            "                            sidestep get pods -n shop\n"
            "                            sidestep logs deploy/load -n shop\n"
            "                            sidestep exec deploy/front -n shop -- curl -s http://reviews:8080/reviews/the-quiet-harbour"
        )
    )
    if not console.is_terminal:
        while True:
            signal.pause()
    connections: list[Connection] = []
    with Live(console=console, auto_refresh=False) as live:
        while True:
            connections = [*connections, *mesh.access_logs.new()][-5000:]
            seen = pairs(connections, mesh.workloads(), shop.NAMESPACE)
            live.update(
                Group(
                    display.pairs(seen, mesh.instance.trust_domain, width=console.width),
                    display.load(mesh.load_report(), when=time.strftime("%H:%M:%S")),
                ),
                refresh=True,
            )
            time.sleep(_REFRESH_SECONDS)


def _take_down(mesh: DemoMesh, console: Console) -> None:
    """Not to be interrupted: a second Ctrl-C would leave half of it."""
    with _handled(lambda number, frame: None):  # noqa: ARG005
        console.print(display.heading("Taking everything down"))
        mesh.down()
        console.print(display.paragraph("Nothing is left."))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
