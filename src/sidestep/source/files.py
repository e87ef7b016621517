"""The manifests of a folder, each parsed once as long as it does not change. Blocking: call on a thread."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sidestep.api.parse import Parsed, ParseResult, Problem, parse_documents

SUFFIXES = (".yaml", ".yml", ".json")
MAXIMUM_BYTES = 32 * 1024 * 1024
"""Larger files are refused: a manifest is not that large, and reading it would take minutes."""
_SETTLED_NANOSECONDS = 1_000_000_000
_BEING_WRITTEN_NANOSECONDS = 50_000_000
"""Programs that write a file in place empty it first; that must not remove its resources for a moment."""


class FileContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a file, or a folder that cannot be listed, holds now."""

    file: str
    """The path as messages show it; a folder's ends with `/`."""
    resources: tuple[Parsed, ...] = ()
    problems: tuple[Problem, ...] = ()
    readable: bool = True


class _Cached(msgspec.Struct, frozen=True, kw_only=True):
    stamp: tuple[int, int, int]
    settled: bool
    """False: it was written so shortly before it was read that it may have changed since under the same time stamp."""
    digest: bytes
    content: FileContent


class FolderReader:
    """Reads a folder again and again."""

    def __init__(self, path: Path, *, default_namespace: str = "default") -> None:
        self._path = path
        self._default_namespace = default_namespace
        self._cache: dict[str, _Cached] = {}

    def read(self) -> tuple[FileContent, ...]:
        """Every manifest in it and in the folders in it, in the order of their paths; hidden names are left alone."""
        contents = []
        seen = set()
        for found in sorted(self._walk(str(self._path)), key=lambda each: each if isinstance(each, str) else each.file):
            if isinstance(found, FileContent):
                contents.append(found)
            elif (content := self._file(found)) is not None:
                contents.append(content)
                seen.add(found)
        for gone in self._cache.keys() - seen:
            del self._cache[gone]
        return tuple(contents)

    def _walk(self, folder: str) -> Iterator[str | FileContent]:
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            yield _unreadable(f"{folder}/", f"cannot list the folder: {error.strerror}")
            return
        for entry in visible:
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(entry.path)
            elif entry.name.endswith(SUFFIXES):
                yield entry.path

    def _file(self, file: str) -> FileContent | None:
        """None for what is no regular file."""
        try:
            return self._read(file)
        except FileNotFoundError:
            return _unreadable(file, "it vanished while it was being read")
        except OSError as error:
            return _unreadable(file, f"cannot read it: {error.strerror}")

    def _read(self, file: str) -> FileContent | None:
        status = os.stat(file)  # noqa: PTH116 - ten thousand files: a Path costs more than the call
        if not stat.S_ISREG(status.st_mode):
            return None
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        cached = self._cache.get(file)
        if cached is not None and cached.settled and cached.stamp == stamp:
            return cached.content
        if status.st_size > MAXIMUM_BYTES:
            return _unreadable(file, f"it has {status.st_size} bytes; split it into files of at most {MAXIMUM_BYTES}")
        age = time.time_ns() - status.st_mtime_ns
        data = Path(file).read_bytes()
        if not data and 0 <= age < _BEING_WRITTEN_NANOSECONDS:
            return _unreadable(file, "it is empty; what it held stays until it is written, or has stayed empty")
        digest = hashlib.sha256(data).digest()
        same = cached is not None and cached.digest == digest
        content = cached.content if cached is not None and same else self._parse(file, data)
        self._cache[file] = _Cached(stamp=stamp, settled=age > _SETTLED_NANOSECONDS, digest=digest, content=content)
        return content

    def _parse(self, file: str, data: bytes) -> FileContent:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            return _unreadable(file, f"not UTF-8 text: {error.reason} at byte {error.start}; save it as UTF-8", line)
        result: ParseResult = parse_documents(text, file=file, default_namespace=self._default_namespace)
        return FileContent(file=file, resources=result.resources, problems=result.problems)


def _unreadable(file: str, message: str, line: int = 0) -> FileContent:
    problem = Problem(file=file, line=line, field="", message=message)
    return FileContent(file=file, problems=(problem,), readable=False)
