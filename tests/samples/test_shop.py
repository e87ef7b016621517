"""The sample shop: its manifests are whole and current, and its services work together as plain processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

SHOP = Path(__file__).parents[2] / "samples" / "shop"
MANIFESTS = sorted(SHOP.glob("*.yaml"))
BOOK = "the-quiet-harbour"


def documents() -> list[dict[str, Any]]:
    return [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for document in documents() if document["kind"] == kind]


def container(deployment: Mapping[str, Any]) -> dict[str, Any]:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_the_manifests_carry_the_code_of_src() -> None:
    done = subprocess.run(
        [sys.executable, str(SHOP / "generate.py"), "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}run: make golden"


def test_generate_notices_and_mends_a_difference(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shutil.copytree(SHOP, shop)
    source = shop / "src" / "ratings.py"
    source.write_text(source.read_text().replace("4.6", "1.2"))
    generate = [sys.executable, str(shop / "generate.py")]
    check = subprocess.run([*generate, "--check"], check=False, capture_output=True, text=True)
    assert (check.returncode, check.stdout) == (1, "ratings.yaml: differs from src/\n")
    subprocess.run(generate, check=True, capture_output=True)
    (deployment,) = [d for d in yaml.safe_load_all((shop / "ratings.yaml").read_text()) if d["kind"] == "Deployment"]
    assert container(deployment)["args"] == [source.read_text()]


def test_each_service_has_an_account_of_its_own_and_the_namespace_is_in_the_mesh() -> None:
    (namespace,) = of_kind("Namespace")
    assert namespace["metadata"]["labels"] == {"istio.io/dataplane-mode": "ambient"}
    accounts = {account["metadata"]["name"] for account in of_kind("ServiceAccount")}
    for deployment in of_kind("Deployment"):
        pod = deployment["spec"]["template"]
        assert pod["spec"]["serviceAccountName"] == pod["metadata"]["labels"]["app"]
    assert accounts == {"front", "catalogue", "reviews", "ratings", "load"}


def test_a_cluster_would_run_the_same_manifests() -> None:
    for deployment in of_kind("Deployment"):
        main = container(deployment)
        (code,) = main["args"]
        assert main["image"]
        assert "$(" not in code, "Kubernetes replaces $(NAME) in arguments"
        assert len(code.encode()) < 128 * 1024, "the kernel's limit for one argument"
        compile(code, deployment["metadata"]["name"], "exec")
        template = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= template.items()


def test_every_service_selects_pods_that_have_its_port() -> None:
    for service in of_kind("Service"):
        selector = service["spec"]["selector"]
        backends = [
            d for d in of_kind("Deployment") if selector.items() <= d["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert backends
        for port in service["spec"]["ports"]:
            assert port["appProtocol"] in {"http", "tcp"}
            for backend in backends:
                assert port["targetPort"] in {p["name"] for p in container(backend)["ports"]}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Shop:
    """The services as processes on loopback."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, source: str, **environment: str) -> None:
        code = (SHOP / "src" / f"{source}.py").read_text()
        process = subprocess.Popen(
            [sys.executable, "-I", "-u", "-c", code],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes[source] = process
        self.wait_for(source, {"listening", "started"})

    def wait_for(self, source: str, events: set[str]) -> dict[str, Any]:
        stdout = self.processes[source].stdout
        assert stdout is not None
        for line in stdout:
            record: dict[str, Any] = json.loads(line)
            if record["event"] in events:
                return record
        raise AssertionError(f"{source} ended before one of {events}")

    def stop(self, source: str) -> int:
        process = self.processes.pop(source)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        return process.returncode


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    for source in list(made.processes):
        made.stop(source)


def fetch(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_services_work_together(shop: Shop) -> None:
    ratings, reviews, catalogue, front = (free_port() for _ in range(4))
    shop.start("ratings", PORT=str(ratings))
    shop.start("reviews", PORT=str(reviews), VERSION="v3", RATINGS=f"127.0.0.1:{ratings}", COLOUR="red")
    shop.start("catalogue", PORT=str(catalogue))
    shop.start(
        "front",
        PORT=str(front),
        CATALOGUE=f"http://127.0.0.1:{catalogue}",
        REVIEWS=f"http://127.0.0.1:{reviews}",
    )
    status, page = fetch(front, f"/books/{BOOK}")
    assert status == 200
    assert "The Quiet Harbour" in page
    assert "7 in stock" in page
    assert "4.6 (212 votes)" in page
    assert "reviews v3" in page
    assert "sold out" in fetch(front, "/")[1]
    assert fetch(front, "/books/none")[0] == 404

    shop.start("load", URL=f"http://127.0.0.1:{front}/books/{BOOK}", RATE="50")
    report = shop.wait_for("load", {"requests"})
    assert report["count"] > 0
    assert report["failed"] == 0
    assert 0 < report["p50_ms"] <= report["p99_ms"]

    assert shop.stop("ratings") == 0
    assert fetch(front, f"/books/{BOOK}")[0] == 502


def test_ratings_speaks_its_own_protocol(shop: Shop) -> None:
    port = free_port()
    shop.start("ratings", PORT=str(port))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        connection.makefile("rw", encoding="ascii", newline="\n") as lines,
    ):
        answers = []
        for line in (f"RATING {BOOK}", "RATING no-such-book", "HELLO"):
            lines.write(f"{line}\n")
            lines.flush()
            answers.append(lines.readline().split()[0])
    assert answers == ["OK", "NONE", "ERROR"]
    shop.wait_for("ratings", {"request"})


def test_the_first_version_of_reviews_asks_for_no_ratings(shop: Shop) -> None:
    port = free_port()
    shop.start("reviews", PORT=str(port), VERSION="v1")
    status, body = fetch(port, f"/reviews/{BOOK}")
    assert status == 200
    assert json.loads(body).keys() == {"version", "reviews"}
