"""One mesh of two nodes, shared by the live tests that only look at it or put back what they change."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.harness import Mesh, eventually

FILES = Path(__file__).parent / "manifests"


def require_root() -> None:
    """Live tests fail without root: they are never skipped."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.fail("live tests need root and Linux: they make network namespaces and run Envoys in them")


def manifest(folder: Path, name: str) -> Path:
    """A manifest of `manifests/`, with the paths of this machine filled in."""
    text = (FILES / name).read_text()
    path = folder / name
    path.write_text(text.replace("@PYTHON@", sys.executable).replace("@APP@", str(Path(__file__).parent / "app.py")))
    return path


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    """client and near on node-1, server on node-2, all in the mesh; stranger and bystander outside of it."""
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="sslive-", dir="/tmp"))
    started = Mesh(folder / "state")
    try:
        started.up(manifest(folder, "pods.yaml"))
        eventually(lambda: started.exec("client", "curl", "-sf", "http://server:8080/", check=False), what="server")
        yield started
    finally:
        started.attempt("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_mesh() -> Iterator[Mesh]:
    """A state folder of the test's own; the test brings it up."""
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="ssown-", dir="/tmp"))
    started = Mesh(folder / "state")
    try:
        yield started
    finally:
        started.attempt("down")
        shutil.rmtree(folder, ignore_errors=True)
