"""Exit codes and sentences, without root."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sidestep.cli.application import NAMES
from sidestep.cli.main import INTERNAL, explain, run
from sidestep.local.errors import (
    BadDataError,
    ExitCode,
    InterruptedCommandError,
    LocalError,
    NoPermissionError,
    OperatingSystemError,
    UnavailableError,
    error_of,
)

POD = """
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: a}}
spec: {containers: [{name: main, image: none, command: [sleep, infinity]}]}
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIDESTEP_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nonsense"], 64),
        (["up", "--nodes", "many"], 64),
        (["get"], 64),
        (["get", "nonsense"], 64),
        (["delete", "nonsense", "a"], 64),
        (["up", "--nodes", "1", "--wait", "-1"], 64),
        (["up", "--concurrency", "-1"], 64),
        (["get", "pod", "none"], 66),
        (["apply"], 64),
        (["apply", "-f", "/does/not/exist.yaml"], 66),
        (["delete", "pod"], 64),
        (["delete", "pod", "none"], 66),
        (["status"], 69),
        (["restart", "node-1"], 69),
        (["exec", "a", "--", "true"], 69),
        (["logs", "none"], 66),
        (["version"], 0),
        (["--help"], 0),
        (["up", "--help"], 0),
    ],
)
def test_exit_codes(state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> None:
    assert run(arguments) == code
    assert "Traceback" not in capsys.readouterr().err


def test_errors_are_one_sentence(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["status"])
    error = capsys.readouterr().err
    assert error.startswith("sidestep: no mesh is up with the state folder ")
    assert error.count("\n") == 1


def test_a_state_folder_too_deep(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["get", "pods", "--state-dir", "/tmp/" + "x" * 100]) == 64
    assert "too long a path" in capsys.readouterr().err


def test_apply_and_get_need_no_running_mesh(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = state / "pod.yaml"
    file.write_text(POD)
    assert run(["apply", "-f", str(file)]) == 0
    assert run(["apply", "-f", str(file)]) == 0
    assert capsys.readouterr().out == "pod default/a created\npod default/a unchanged\n"
    assert run(["get", "po", "a", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["labels"] == {"app": "a"}
    assert run(["get", "pods", "-o", "wide"]) == 0
    assert capsys.readouterr().out.split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "MESH", "AGE", "IP"]
    assert run(["delete", "-f", str(file)]) == 0
    assert run(["get", "pods"]) == 0
    assert "no pods in namespace default" in capsys.readouterr().err


def test_bad_manifests_are_65_and_change_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = state / "pod.yaml"
    file.write_text(POD + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: many}]}\n")
    assert run(["apply", "-f", str(file)]) == 65
    assert f"{file}:" in capsys.readouterr().err
    assert run(["get", "pods"]) == 0
    assert "no pods" in capsys.readouterr().err


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidestep.local.requirements.check", lambda: None)


@pytest.mark.usefixtures("allowed")
def test_up_complains_before_it_makes_anything(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = state / "pod.yaml"
    file.write_text(POD + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: many}]}\n")
    assert run(["up", "--detach", "-f", str(file)]) == 65
    assert f"{file}:10: spec.ports[0].port: expected an integer from 1 to 65535" in capsys.readouterr().err
    assert run(["up", "--detach", "-f", str(state / "none.yaml")]) == 66
    assert run(["up", "--detach", "--trust-domain", "a b"]) == 64
    assert capsys.readouterr().err.count("--trust-domain: ") == 1
    assert not (state / "state").exists()


def test_nothing_to_apply_is_said(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = state / "empty.yaml"
    file.write_text("# later\n")
    assert run(["apply", "-f", str(file)]) == 0
    assert capsys.readouterr().err == f"nothing to apply: no resource in {file}\n"


def test_what_errors_become() -> None:
    assert explain(BadDataError("bad")) == ("bad", 65)
    assert explain(NoPermissionError("no")) == ("no", 77)
    assert explain(InterruptedCommandError("interrupted")) == ("interrupted", 130)
    assert explain(PermissionError(13, "Permission denied", "/x")) == ("no permission for /x: run as root", 77)
    assert explain(OSError(28, "No space left on device", "/x")) == ("/x: No space left on device", 71)


@pytest.mark.parametrize("kind", [BadDataError, UnavailableError, OperatingSystemError, NoPermissionError])
def test_an_error_survives_the_way_through_an_exit_code(kind: type[LocalError]) -> None:
    assert type(error_of(kind.code, "text")) is kind
    assert error_of(1, "text").code is ExitCode.FAILURE


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in sorted(NAMES):
        assert run([name, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


def test_a_wrong_command_line_names_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["get", "pods", "--colour"]) == 64
    assert capsys.readouterr().err == "sidestep: No such option: --colour; see `sidestep get --help`\n"
    assert run(["fly"]) == 64
    assert capsys.readouterr().err == "sidestep: No such command 'fly'; see `sidestep --help`\n"
    assert run(["node", "--colour"]) == 64
    error = capsys.readouterr().err
    assert "--token-file" in error
    assert error.endswith("; see `sidestep node --help`\n")
    assert run(["dns", "--node=n", "--xds-socket=/x", "--metrics-port=many"]) == 64
    assert "--metrics-port: invalid int value: 'many'" in capsys.readouterr().err


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 64
    output = capsys.readouterr()
    assert "version" in output.out
    assert output.err == ""


@pytest.mark.parametrize("name", INTERNAL)
def test_processes_start_without_typer(name: str) -> None:
    script = (
        f"import sys\nfrom sidestep.cli.main import run\nassert run([{name!r}]) == 64\n"
        "heavy = {'typer', 'pydantic', 'grpc', 'rich'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=30)


def test_status_and_exec_import_no_netlink() -> None:
    script = (
        "import sys\nimport sidestep.local.inventory, sidestep.local.daemon, sidestep.cli.pods\n"
        "assert 'pyroute2' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=30)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom sidestep.cli.main import run\nrun(['--help'])\n"
        "heavy = {'grpc', 'pyroute2', 'cryptography', 'httpx', 'sidestep.wire'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=30)
