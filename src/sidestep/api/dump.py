"""Resources and documents → text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from sidestep.api.meta import Resource
from sidestep.api.scalars import needs_quotes


def to_document(resource: Resource, original: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The document of a resource: apiVersion, kind and all fields that are not at their default.

    With `original`, the document from which the resource was read before it was changed: its order and every field that
    we do not model are kept.
    """
    typed = {"apiVersion": resource.API_VERSION, "kind": resource.KIND, **_plain(resource)}
    if original is None:
        return typed
    typed["apiVersion"] = original.get("apiVersion", resource.API_VERSION)
    before = msgspec.convert(original, type(resource), str_keys=True)
    updated: Mapping[str, Any] = _updated(original, before, resource)
    return {**updated, "apiVersion": typed["apiVersion"], "kind": typed["kind"]}


def to_yaml(documents: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> str:
    """One document, or several with `---` between them."""
    several = [documents] if isinstance(documents, Mapping) else list(documents)
    return "---\n".join(_yaml(document) for document in several)


def to_json(document: Mapping[str, Any]) -> str:
    """One document, indented by two spaces, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def _yaml(document: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Dumper(yaml.CSafeDumper):
    """Repeats what occurs twice instead of pointing at it, and quotes what others would not read as text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the interface of PyYAML
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="'" if needs_quotes(text) else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _plain(value: Any) -> Any:
    """JSON types only: dicts with text as keys, lists, scalars."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _updated(original: Any, before: Any, after: Any) -> Any:
    """`original`, the raw form of `before`, changed as far as `after` differs from `before`."""
    if before == after:
        return original
    if isinstance(after, msgspec.Struct) and type(before) is type(after) and isinstance(original, Mapping):
        return _updated_struct(original, before, after)
    if isinstance(after, tuple) and isinstance(before, tuple) and isinstance(original, Sequence):
        return _updated_list(original, before, after)
    return _plain(after)


def _updated_struct(original: Mapping[str, Any], before: msgspec.Struct, after: msgspec.Struct) -> dict[str, Any]:
    updated = dict(original)
    for field in msgspec.structs.fields(after):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old == new:
            continue
        if new == _default(field):
            updated.pop(field.encode_name, None)
        elif field.encode_name in original:
            updated[field.encode_name] = _updated(original[field.encode_name], old, new)
        else:
            updated[field.encode_name] = _plain(new)
    return updated


def _updated_list(original: Sequence[Any], before: tuple[Any, ...], after: tuple[Any, ...]) -> list[Any]:
    """Items with names are matched by name, others by place."""
    places = {_identity(item, index): index for index, item in enumerate(before)}
    updated = []
    for index, item in enumerate(after):
        place = places.get(_identity(item, index))
        if place is None:
            updated.append(_plain(item))
        else:
            updated.append(_updated(original[place], before[place], item))
    return updated


def _identity(item: Any, index: int) -> str | int:
    """`type` names a condition."""
    return getattr(item, "name", "") or getattr(item, "type", "") or index


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default
