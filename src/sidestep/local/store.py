"""The resources folder, used as an API server: one file a resource, changed under a lock, never half written.

Blocking: call on a thread. Several processes use it at once (the runtime and the command line).
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from sidestep.api.dump import to_yaml
from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Parsed, Resources, parse_documents
from sidestep.local.errors import BadDataError
from sidestep.local.files import write_atomically
from sidestep.local.layout import Layout
from sidestep.local.merge import Document

_NO_NAMESPACE = "_"
_Stamp = tuple[int, int, int]


class Store:
    """All resources of one instance."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.resources
        self._lock = layout.resources_lock
        self._cache: dict[Path, tuple[_Stamp, Document]] = {}
        self._good: dict[Path, tuple[Document, Parsed]] = {}

    @property
    def folder(self) -> Path:
        return self._folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile. Not reentrant."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def path_of(self, key: ResourceKey) -> Path:
        """The file of a resource."""
        path: Path = self._folder / key.kind / (key.namespace or _NO_NAMESPACE) / f"{key.name}.yaml"
        return path

    def get(self, key: ResourceKey) -> Document | None:
        """A copy-free view of a resource: do not change it."""
        return self._read(self.path_of(key))

    def read(self) -> tuple[dict[ResourceKey, Document], Resources]:
        """Every valid resource, as written and as the mesh sees it.

        Of a file that somebody damaged, the last good version stays in force. Never raises for what a file holds.
        """
        paths = self._paths("*")
        for path in paths:
            with suppress(BadDataError):
                self._read(path)
        for path in self._good.keys() - set(paths):
            self._good.pop(path, None)
            self._cache.pop(path, None)
        good = {path: self._good[path] for path in paths if path in self._good}
        documents = {key_of_path(path): document for path, (document, _) in good.items()}
        return documents, Resources.of(parsed.resource for _, parsed in good.values())

    def all(self, kind: str = "*") -> dict[ResourceKey, Document]:
        """Every resource, or those of one kind; views, not copies."""
        found: dict[ResourceKey, Document] = {}
        for path in self._paths(kind):
            document = self._read(path)
            if document is not None:
                found[key_of_path(path)] = document
        return found

    def put(self, key: ResourceKey, document: Mapping[str, Any]) -> None:
        """Write a resource; the caller holds the lock."""
        write_atomically(self.path_of(key), to_yaml(document).encode())

    def remove(self, key: ResourceKey) -> bool:
        """Delete a resource; False if there was none. The caller holds the lock."""
        path = self.path_of(key)
        if not path.exists():
            return False
        path.unlink()
        with suppress(OSError):
            path.parent.rmdir()
        return True

    def update(self, key: ResourceKey, change: Callable[[Document], Document | None]) -> bool:
        """Change one resource under the lock; False if it is gone or `change` returns None or an equal document."""
        with self.locked():
            current = self.get(key)
            if current is None:
                return False
            changed = change(current)
            if changed is None or changed == current:
                return False
            self.put(key, changed)
            return True

    def _paths(self, kind: str) -> list[Path]:
        return sorted(self._folder.glob(f"{kind}/*/[!.]*.yaml"))

    def _read(self, path: Path) -> Document | None:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            cached = self._cache.get(path)
            if cached is not None and cached[0] == stamp:
                return cached[1]
            text = path.read_text()
            document = load(text)
        except FileNotFoundError:
            return None
        except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
            raise BadDataError(f"{path} is not a resource: {error}") from error
        self._cache[path] = (stamp, document)
        result = parse_documents(text, file=str(path))
        if result.resources:
            self._good[path] = (document, result.resources[0])
        return document


def key_of_path(path: Path) -> ResourceKey:
    """The reverse of `Store.path_of`."""
    kind, namespace = path.parts[-3], path.parts[-2]
    return ResourceKey(kind=kind, namespace="" if namespace == _NO_NAMESPACE else namespace, name=path.stem)


def load(text: str) -> Document:
    """One YAML document, which must be a mapping."""
    document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        raise ValueError("it has no metadata")  # noqa: TRY004 - as any other bad content
    return document


class _Loader(yaml.CSafeLoader):
    """Leaves times as the text that they are in Kubernetes' API."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the interface of PyYAML
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }
