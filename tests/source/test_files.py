"""Reading a folder again and again."""

import os
import time
from pathlib import Path

import pytest

from sidestep.source import files
from sidestep.source.files import FileContent, FolderReader


def namespace(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


def names(contents: tuple[FileContent, ...]) -> list[str]:
    return [parsed.resource.name for content in contents for parsed in content.resources]


def test_all_manifests_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.json").write_text('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c"}}')
    (tmp_path / "b.yml").write_text(namespace("b"))
    (tmp_path / "a.yaml").write_text(namespace("a"))
    (tmp_path / "z.txt").write_text(namespace("z"))
    (tmp_path / ".hidden.yaml").write_text(namespace("z"))
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text(namespace("z"))
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    assert names(FolderReader(tmp_path).read()) == ["a", "b", "c"]


def test_only_what_changed_is_parsed_again(tmp_path: Path) -> None:
    reader = FolderReader(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(namespace(name))
    first = reader.read()
    (tmp_path / "b.yaml").write_text(namespace("c"))
    second = reader.read()
    assert second[0] is first[0]
    assert names(second) == ["a", "c"]


def test_a_change_under_the_same_time_stamp_is_seen(tmp_path: Path) -> None:
    reader = FolderReader(tmp_path)
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a"))
    stamp = file.stat().st_mtime_ns
    reader.read()
    file.write_text(namespace("b"))
    os.utime(file, ns=(stamp, stamp))
    assert names(reader.read()) == ["b"]


def test_a_settled_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = FolderReader(tmp_path)
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a"))
    old = time.time() - 60
    os.utime(file, (old, old))
    first = reader.read()

    def refuse(path: Path) -> bytes:
        raise AssertionError(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert reader.read() == first


def test_what_is_not_utf8_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (content,) = FolderReader(tmp_path).read()
    assert not content.readable
    assert content.problems[0].line == 2
    assert "UTF-8" in content.problems[0].message


def test_what_vanishes_while_it_is_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "nowhere")
    (content,) = FolderReader(tmp_path).read()
    assert not content.readable
    assert "vanished" in content.problems[0].message


def test_a_file_too_large_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAXIMUM_BYTES", 10)
    (tmp_path / "a.yaml").write_text(namespace("a"))
    (content,) = FolderReader(tmp_path).read()
    assert not content.readable
    assert "split" in content.problems[0].message


def test_a_missing_folder_is_a_problem(tmp_path: Path) -> None:
    (content,) = FolderReader(tmp_path / "nowhere").read()
    assert not content.readable
    assert content.problems[0].file == f"{tmp_path}/nowhere/"


def test_a_file_that_was_emptied_just_now_may_be_being_written(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("")
    reader = FolderReader(tmp_path)
    os.utime(file)
    (content,) = reader.read()
    assert not content.readable
    old = time.time() - 1
    os.utime(file, (old, old))
    (content,) = reader.read()
    assert content.readable
