"""Golden tests: `NAME.in.yaml` is translated and compared with `NAME.out.yaml`, found by glob.

    CASES = golden_cases(Path(__file__).parents[1] / "golden" / "mesh")

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_golden(case: GoldenCase) -> None:
        check(case, translate(case.text))

With SIDESTEP_GOLDEN=update the expected files are rewritten instead (`make golden`).
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

_INPUT = ".in.yaml"
_OUTPUT = ".out.yaml"


@dataclass(frozen=True, kw_only=True)
class GoldenCase:
    """One pair of files."""

    name: str
    input: Path
    output: Path

    @property
    def text(self) -> str:
        """The input's text."""
        return self.input.read_text(encoding="utf-8")

    def __str__(self) -> str:
        return self.name


def golden_cases(folder: Path) -> list[GoldenCase]:
    """The cases of `folder` and the folders below it, by name; an empty folder is an error, not an empty test.

    An expected file without its input is an error as well: nothing would ever read it.
    """
    inputs = sorted(folder.rglob(f"*{_INPUT}"))
    if not inputs:
        raise FileNotFoundError(f"{folder} has no *{_INPUT}")
    cases = [_case(folder, path) for path in inputs]
    orphans = set(folder.rglob(f"*{_OUTPUT}")) - {case.output for case in cases}
    if orphans:
        raise FileNotFoundError(f"no input for {', '.join(sorted(map(str, orphans)))}")
    return cases


def check(case: GoldenCase, text: str) -> None:
    """Asserts that `text` is what the case expects, and shows a diff if not; or rewrites the expected file."""
    if os.environ.get("SIDESTEP_GOLDEN") == "update":
        case.output.write_text(text, encoding="utf-8")
        return
    assert case.output.exists(), f"{case.output} is missing: `make golden` writes it"
    expected = case.output.read_text(encoding="utf-8")
    if text != expected:
        difference = difflib.unified_diff(
            expected.splitlines(), text.splitlines(), str(case.output), "translated now", lineterm=""
        )
        raise AssertionError("\n".join([f"{case.name} differs; `make golden` accepts it", *difference]))


def _case(folder: Path, path: Path) -> GoldenCase:
    name = path.name.removesuffix(_INPUT)
    relative = path.relative_to(folder).parent / name
    return GoldenCase(name=relative.as_posix(), input=path, output=path.with_name(name + _OUTPUT))
