from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden_support import check, golden_cases


def test_cases_are_found_by_glob(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.in.yaml", "deep/a.in.yaml", "deep/notes.yaml"):
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    cases = golden_cases(tmp_path)
    assert [str(case) for case in cases] == ["b", "deep/a"]
    assert cases[1].output == tmp_path / "deep" / "a.out.yaml"
    assert cases[1].text == "x\n"


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no"):
        golden_cases(tmp_path)


def test_an_expectation_without_input_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.in.yaml").touch()
    (tmp_path / "b.out.yaml").touch()
    with pytest.raises(FileNotFoundError, match=r"b\.out\.yaml"):
        golden_cases(tmp_path)


def test_a_difference_is_shown_and_an_update_accepts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIDESTEP_GOLDEN", raising=False)
    (tmp_path / "a.in.yaml").touch()
    [case] = golden_cases(tmp_path)
    with pytest.raises(AssertionError, match="is missing"):
        check(case, "new\n")
    case.output.write_text("old\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"(?s)-old.*\+new"):
        check(case, "new\n")
    monkeypatch.setenv("SIDESTEP_GOLDEN", "update")
    check(case, "new\n")
    monkeypatch.delenv("SIDESTEP_GOLDEN")
    check(case, "new\n")
