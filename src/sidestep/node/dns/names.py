"""Which names of the mesh a question may mean, given the search list of a pod's resolv.conf."""

from __future__ import annotations

from collections.abc import Iterator


def search_list(namespace: str, domain: str) -> tuple[str, ...]:
    """The search domains of a pod, as Kubernetes writes them; without a namespace the first one is left out."""
    general = (f"svc.{domain}", domain)
    return (f"{namespace}.{general[0]}", *general) if namespace else general


def meanings(name: str, search: tuple[str, ...]) -> tuple[str, ...]:
    """What `name` may stand for, itself and then the names without a search domain that was appended in vain.

    A pod asks for `example.com.shop.svc.cluster.local` before `example.com`: answering the first one at once saves
    the others. `name` is in lower case, without the final dot.
    """
    stripped = (name.removesuffix(f".{suffix}") for suffix in search if name.endswith(f".{suffix}"))
    return tuple(dict.fromkeys((name, *stripped)))


def expansions(name: str, search: tuple[str, ...]) -> Iterator[str]:
    """`name` itself, then with each search domain: `server`, `server.ns` and `server.ns.svc` are names too."""
    yield name
    for suffix in search:
        yield f"{name}.{suffix}"


def wildcards(name: str) -> Iterator[str]:
    """The wildcard hosts that cover `name`, the closest first: `*.b.c`, `*.c` for `a.b.c`."""
    return (f"*.{above}" for above in enclosing(name))


def enclosing(name: str) -> Iterator[str]:
    """The names above `name`: `b.c` and `c` for `a.b.c`. They exist because it does (RFC 8020)."""
    rest = name
    while "." in rest:
        rest = rest.partition(".")[2]
        yield rest


def is_inside(name: str, domain: str) -> bool:
    """Whether `name` is `domain` or below it."""
    return name == domain or name.endswith(f".{domain}")
