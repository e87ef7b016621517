"""Starting the runtime in the foreground or detached, and ending it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from sidestep.local import cleanup
from sidestep.local.claim import claim
from sidestep.local.errors import LocalError, UnavailableError, error_of
from sidestep.local.layout import Layout
from sidestep.local.options import UpOptions
from sidestep.local.processes import Registry, environment_of, is_alive
from sidestep.local.progress import Event, Progress, ProgressReader
from sidestep.local.runtime_lock import is_running, only_runtime
from sidestep.local.store import Store
from sidestep.local.waiting import wait_for_pods

Listener = Callable[[Event], None]
_START_SECONDS = 150.0
_END_SECONDS = 30.0
_POLL = 0.05


def run(layout: Layout, options: UpOptions, *, listener: Listener, wait: float | None = None) -> None:
    """Bring everything up and stay until SIGINT or SIGTERM; then nothing of it runs any more."""
    claim(layout)
    with only_runtime(layout):
        progress = Progress(layout.progress, listener=listener)
        try:
            if cleanup.clean(layout):
                progress.step("a run before was killed: cleaned up what it left")
            asyncio.run(_run(layout, options, progress, wait))
        except LocalError as error:
            progress.failed(str(error), error.code)
            raise
        except Exception as error:
            progress.failed(f"internal error: {error!r}; see {layout.logs / 'runtime.log'}", 70)
            raise
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            cleanup.clean(layout)


def run_in_foreground(layout: Layout, options: UpOptions, *, listener: Listener, wait: float | None) -> None:
    """Ctrl-C is `down`; after a failure the logs stay."""
    run(layout, options, listener=listener, wait=wait)
    cleanup.erase(layout, keep=False)


def start_detached(layout: Layout, options: UpOptions, *, listener: Listener, wait: float | None) -> None:
    """Start the runtime as a daemon and return when it is up (and, with `wait`, its pods are ready)."""
    if is_running(layout):
        with only_runtime(layout):
            pass
    claim(layout)
    layout.logs.mkdir(parents=True, exist_ok=True)
    layout.progress.unlink(missing_ok=True)
    log = layout.logs / "runtime.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(layout, options),
            stdin=subprocess.PIPE if _reads_standard_input(options) else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment_of(layout),
            start_new_session=True,
        )
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(sys.stdin.buffer.read())
    _follow(layout, process, listener)
    if wait is not None:

        def say(text: str, *, complete: bool) -> None:
            listener(Event(at=time.time(), kind="ready" if complete else "count", text=text))

        wait_for_pods(Store(layout), seconds=wait, say=say)


def take_down(layout: Layout, *, keep: bool, listener: Listener) -> None:
    """End the runtime and everything else of the instance; empty the state folder."""
    deadline = time.monotonic() + _END_SECONDS
    for record in Registry(layout.processes).alive():
        if record.role == "runtime" and is_running(layout):
            os.kill(record.pid, signal.SIGTERM)
            while (is_running(layout) or is_alive(record.pid)) and time.monotonic() < deadline:
                time.sleep(_POLL)
    # also when the runtime ended well: it may have been killed while it was ending
    cleanup.clean(layout, say=lambda text: listener(_step(text)))
    cleanup.erase(layout, keep=keep)
    left = f"the certificate authority and the resources are kept in {layout.state_dir}" if keep else "nothing is left"
    listener(Event(at=time.time(), kind="ready", text=f"down: {left}"))


async def _run(layout: Layout, options: UpOptions, progress: Progress, wait: float | None) -> None:
    # late: gRPC and netlink are not needed to follow a daemon
    from sidestep.local.runtime import Runtime

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await Runtime(layout, options, progress, stop=stop, wait=wait).run()


def _follow(layout: Layout, process: subprocess.Popen[bytes], listener: Listener) -> None:
    reader = ProgressReader(layout.progress)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        ended = process.poll() is not None
        for event in reader.new_events():
            listener(event)
            if event.kind == "ready":
                return
            if event.kind == "failed":
                process.wait()
                raise error_of(event.code, event.text)
        if ended:
            log = layout.logs / "runtime.log"
            raise UnavailableError(f"the runtime ended with exit code {process.returncode} at its start; see {log}")
        if time.monotonic() > deadline:
            raise UnavailableError(f"the runtime is not up after {_START_SECONDS:.0f} s; see {layout.logs}")
        time.sleep(_POLL)


def _command(layout: Layout, options: UpOptions) -> list[str]:
    command = [sys.executable, "-m", "sidestep", "up", "--daemon", f"--state-dir={layout.state_dir}"]
    command += [f"--file={path}" for path in options.files]
    command += [f"--nodes={options.nodes}", f"--trust-domain={options.trust_domain}"]
    if not options.mesh:
        command.append("--no-mesh")
    if options.certificate_lifetime is not None:
        milliseconds = round(options.certificate_lifetime.total_seconds() * 1000)
        command.append(f"--certificate-lifetime={milliseconds}ms")
    if options.force_hbone:
        command.append("--force-hbone")
    if options.ca_folder is not None:
        command.append(f"--ca-folder={options.ca_folder}")
    if options.concurrency:
        command.append(f"--concurrency={options.concurrency}")
    return command


def _reads_standard_input(options: UpOptions) -> bool:
    return any(str(path) == "-" for path in options.files)


def _step(text: str) -> Event:
    return Event(at=time.time(), kind="step", text=text)
