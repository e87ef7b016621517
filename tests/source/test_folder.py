"""The folder source: real files, real notifications."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import watchfiles

from sidestep.source.folder import FolderSource, Snapshot


def namespace(name: str, label: str = "x") -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{a: {label}}}}}\n"


class Watched:
    """The snapshots of a source, as they come."""

    def __init__(self, source: FolderSource) -> None:
        self._source = source
        self._queue: asyncio.Queue[Snapshot] = asyncio.Queue()

    async def run(self) -> None:
        async for snapshot in self._source.snapshots():
            self._queue.put_nowait(snapshot)

    async def until(self, *names: str, problems: int = 0) -> Snapshot:
        """The first snapshot with these namespaces and so many problems; a change may take several steps."""
        async with asyncio.timeout(10):
            while True:
                snapshot = await self._queue.get()
                found = [name for _, name in snapshot.resources.namespaces]
                if found == list(names) and len(snapshot.problems) == problems:
                    return snapshot

    async def quiet(self, seconds: float = 0.4) -> bool:
        await asyncio.sleep(seconds)
        return self._queue.empty()


@asynccontextmanager
async def watching(path: Path, poll_seconds: float = 30) -> AsyncIterator[Watched]:
    watched = Watched(FolderSource(path, poll_seconds=poll_seconds))
    task = asyncio.create_task(watched.run())
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_changes_arrive_by_notification(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(namespace("a"))
    async with watching(tmp_path) as watched:
        await watched.until("a")
        (tmp_path / "b.yaml").write_text(namespace("b"))
        await watched.until("a", "b")
        (tmp_path / "a.yaml").unlink()
        await watched.until("b")


async def test_a_file_written_at_once_into_a_new_folder(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        await watched.until()
        for name in ("a", "b", "c"):
            folder = tmp_path / "Namespace" / name
            folder.mkdir(parents=True)
            (folder / "x.yaml").write_text(namespace(name))
        await watched.until("a", "b", "c")


async def test_the_last_good_version_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a", "good"))
    async with watching(tmp_path) as watched:
        await watched.until("a")
        file.write_text(namespace("a", "[bad]"))
        snapshot = await watched.until("a", problems=1)
        assert snapshot.resources.namespaces["", "a"].metadata.labels == {"a": "good"}
        file.write_bytes(b"\xff")
        snapshot = await watched.until("a", problems=1)
        assert "UTF-8" in snapshot.problems[0].message
        file.write_text(namespace("b"))
        await watched.until("b")


async def test_an_equal_state_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a"))
    async with watching(tmp_path, poll_seconds=0.05) as watched:
        await watched.until("a")
        file.write_text("# a comment\n" + namespace("a"))
        file.touch()
        (tmp_path / "note.txt").write_text("x")
        assert await watched.quiet()


async def test_a_folder_that_comes_later_and_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "resources"
    async with watching(folder, poll_seconds=0.05) as watched:
        await watched.until(problems=1)
        folder.mkdir()
        (folder / "a.yaml").write_text(namespace("a"))
        await watched.until("a")
        folder.rename(tmp_path / "old")
        await watched.until("a", problems=1)
        folder.mkdir()
        (folder / "b.yaml").write_text(namespace("b"))
        await watched.until("b")
        shutil.rmtree(tmp_path / "old")
        (folder / "c.yaml").write_text(namespace("c"))
        await watched.until("b", "c")


async def test_the_poll_works_without_notifications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: Path, **_options: object) -> AsyncIterator[object]:
        raise OSError(28, "no inotify watches left")

    monkeypatch.setattr(watchfiles, "awatch", refuse)
    async with watching(tmp_path, poll_seconds=0.05) as watched:
        await watched.until()
        (tmp_path / "a.yaml").write_text(namespace("a"))
        await watched.until("a")


async def test_a_burst_of_changes_ends_in_the_last_state(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        await watched.until()
        for number in range(200):
            (tmp_path / f"{number % 20}.yaml").write_text(namespace(f"n{number:03}"))
        await watched.until(*sorted(f"n{number:03}" for number in range(180, 200)))


async def test_it_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with watching(tmp_path) as watched:
        await watched.until()
    assert asyncio.all_tasks() == before


async def test_a_file_that_is_emptied_loses_its_resources(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a"))
    async with watching(tmp_path) as watched:
        await watched.until("a")
        file.write_text("")
        await watched.until()
