"""`apply`, `delete` and `get`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sidestep.cli.arguments import STATE_DIR, Namespace, StateDir
from sidestep.local.errors import ExitCode, NoInputError, UsageError
from sidestep.local.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidestep.api.meta import ResourceKey
    from sidestep.api.registry import KindInfo
    from sidestep.local.apply import Applied

_Files = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", help="A manifest, a folder of manifests, or - for standard input; may be repeated."),
]
_GONE_SECONDS = 60.0


def apply(file: _Files = None, state_dir: StateDir = STATE_DIR) -> None:
    """Create or change resources. Nothing is changed if any of them is wrong."""
    from sidestep.local import instance
    from sidestep.local.apply import apply as apply_manifests
    from sidestep.local.claim import claim
    from sidestep.local.manifests import describe, read_manifests
    from sidestep.local.store import Store

    if not file:
        raise UsageError("name what to apply: -f FILE, -f FOLDER or -f -")
    layout = Layout.of(state_dir)
    manifests = read_manifests(file)
    for problem in manifests.ignored:
        sys.stderr.write(f"warning: {describe(problem)}\n")
    if not manifests.resources:
        sys.stderr.write(f"nothing to apply: no resource in {', '.join(map(str, file))}\n")
        return
    claim(layout)
    _tell(apply_manifests(Store(layout), manifests.resources, instance.load(layout.instance_file)))


def delete(
    kind: Annotated[str, typer.Argument(help="A kind, e.g. pod; not with -f.")] = "",
    name: Annotated[str, typer.Argument(help="A resource of that kind.")] = "",
    file: _Files = None,
    namespace: Namespace = "default",
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Delete resources, and wait until their pods have ended."""
    from sidestep.local.apply import delete as delete_resources
    from sidestep.local.apply import wait_gone
    from sidestep.local.manifests import read_manifests
    from sidestep.local.runtime_lock import is_running
    from sidestep.local.store import Store

    layout = Layout.of(state_dir)
    store = Store(layout)
    if file and not kind:
        keys = [parsed.resource.key for parsed in read_manifests(file).resources]
    elif kind and name and not file:
        keys = [_key(_kind(kind), namespace, name)]
    else:
        raise UsageError("say what to delete: either KIND NAME or -f FILE")
    running = is_running(layout)
    results = delete_resources(store, keys, running=running)
    _tell(results)
    if running:
        wait_gone(store, [result.key for result in results], _GONE_SECONDS)
    if any(result.outcome == "not found" for result in results):
        raise typer.Exit(ExitCode.NO_INPUT)


def get(
    *,
    kind: Annotated[str, typer.Argument(help="A kind: pods, po, services, deploy, …")],
    name: Annotated[str, typer.Argument(help="One resource of that kind.")] = "",
    namespace: Namespace = "default",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="In all namespaces.")] = False,
    output: Annotated[
        Literal["text", "wide", "yaml", "json"], typer.Option("--output", "-o", help="How to show it.")
    ] = "text",
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Show resources."""
    from sidestep.api.dump import to_json, to_yaml
    from sidestep.cli.listing import listing
    from sidestep.local.store import Store

    info = _kind(kind)
    store = Store(Layout.of(state_dir))
    found = [
        document
        for key, document in store.all(info.kind).items()
        if (everywhere or not info.namespaced or key.namespace == namespace) and name in ("", key.name)
    ]
    where = "" if everywhere or not info.namespaced else f" in namespace {namespace}"
    if name and not found:
        raise NoInputError(f"there is no {info.kind} {name!r}{where}")
    if output in ("yaml", "json"):
        document = found[0] if name and len(found) == 1 else {"apiVersion": "v1", "kind": "List", "items": found}
        typer.echo((to_yaml if output == "yaml" else to_json)(document), nl=False)
    elif not found:
        sys.stderr.write(f"no {info.plural}{where}\n")
    else:
        pods = list(store.all("Pod").values())
        shown = everywhere and info.namespaced
        wide = output == "wide"
        typer.echo(listing(info.kind, found, pods, now=time.time(), wide=wide, namespaces=shown))


def _kind(word: str) -> KindInfo:
    from sidestep.api.registry import kinds, lookup

    info = lookup(word)
    if info is None:
        known = ", ".join(sorted(known.plural for known in kinds()))
        raise UsageError(f"there is no kind {word!r}; the kinds are {known}")
    return info


def _key(info: KindInfo, namespace: str, name: str) -> ResourceKey:
    from sidestep.api.meta import ResourceKey

    return ResourceKey(kind=info.kind, namespace=namespace if info.namespaced else "", name=name)


def _tell(results: Iterable[Applied]) -> None:
    for result in results:
        place = f"{result.key.namespace}/" if result.key.namespace else ""
        typer.echo(f"{result.key.kind.lower()} {place}{result.key.name} {result.outcome}")
