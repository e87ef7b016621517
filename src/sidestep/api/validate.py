"""Checks of single values: names, labels, ports, addresses. Each yields what is wrong, with the mend.

Rules of names and labels are Kubernetes' (RFC 1123 labels and subdomains, RFC 1035 service names, qualified names).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

from sidestep.api.finding import Finding, Path

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_STARTS_WITH_LETTER = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_HOST_LABEL = re.compile(r"[a-zA-Z0-9_]([-a-zA-Z0-9_]*[a-zA-Z0-9_])?")
_SHOWN = 80
_ANNOTATIONS_LIMIT = 256 * 1024


def shown(value: object) -> str:
    """A value as messages show it: quoted if it is text, and short."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def name(value: str, path: Path) -> Iterator[Finding]:
    """A name of most kinds: a DNS subdomain (RFC 1123), at most 253 characters."""
    if len(value) > 253 or not all(_LABEL.fullmatch(part) for part in value.split(".")):
        yield Finding(
            path,
            f"{shown(value)} is not a valid name; use at most 253 of a-z, 0-9, '-' and '.', with a letter or a digit "
            "at both ends and beside each '.'",
        )


def label_name(value: str, path: Path) -> Iterator[Finding]:
    """A DNS label (RFC 1123), at most 63 characters: namespaces, containers, host names."""
    if len(value) > 63 or not _LABEL.fullmatch(value):
        yield Finding(
            path,
            f"{shown(value)} is not a valid name; use at most 63 of a-z, 0-9 and '-', with a letter or a digit at "
            "both ends",
        )


def service_name(value: str, path: Path) -> Iterator[Finding]:
    """The name of a Service: a DNS label that begins with a letter (RFC 1035)."""
    if len(value) > 63 or not _STARTS_WITH_LETTER.fullmatch(value):
        yield Finding(
            path,
            f"{shown(value)} is not a valid name of a Service; use at most 63 of a-z, 0-9 and '-', a letter first and "
            "a letter or a digit last",
        )


def labels(values: Mapping[str, str], path: Path) -> Iterator[Finding]:
    """Labels or a selector of labels."""
    for key, value in values.items():
        yield from qualified_name(key, (*path, key))
        yield from label_value(value, (*path, key))


def annotation_values(values: Mapping[str, str], path: Path) -> Iterator[Finding]:
    """Annotations: keys as those of labels, any text as value, 256 KiB together."""
    for key in values:
        yield from qualified_name(key.lower(), (*path, key))
    size = sum(len(key.encode()) + len(value.encode()) for key, value in values.items())
    if size > _ANNOTATIONS_LIMIT:
        yield Finding(path, f"{size} bytes in all; annotations hold at most {_ANNOTATIONS_LIMIT}, so shorten them")


def qualified_name(key: str, path: Path) -> Iterator[Finding]:
    """The key of a label: `name` or `dns.prefix/name`."""
    prefix, separator, last = key.rpartition("/")
    if separator and (len(prefix) > 253 or not all(_LABEL.fullmatch(part) for part in prefix.split("."))):
        yield Finding(path, f"{shown(prefix)} is not a valid prefix; before '/' stands a DNS name such as example.com")
    if len(last) > 63 or not _QUALIFIED.fullmatch(last):
        yield Finding(
            path,
            f"{shown(last)} is not a valid key; use at most 63 letters, digits, '-', '_' and '.', with a letter or a "
            "digit at both ends",
        )


def label_value(value: str, path: Path) -> Iterator[Finding]:
    """The value of a label."""
    if value and (len(value) > 63 or not _QUALIFIED.fullmatch(value)):
        yield Finding(
            path,
            f"{shown(value)} is not a valid value of a label; use at most 63 letters, digits, '-', '_' and '.', with a "
            "letter or a digit at both ends",
        )


def port(value: int, path: Path) -> Iterator[Finding]:
    """A port number."""
    if not 1 <= value <= 65535:
        yield Finding(path, f"expected an integer from 1 to 65535, got {value}; that is no port")


def port_name(value: str, path: Path) -> Iterator[Finding]:
    """The name of a container's port, to which a Service's `targetPort` can point (IANA service name, RFC 6335)."""
    right = len(value) <= 15 and _LABEL.fullmatch(value) and "--" not in value
    if not right or not any(character.isalpha() for character in value):
        yield Finding(
            path,
            f"{shown(value)} is not a valid name of a port; use at most 15 of a-z, 0-9 and '-', at least one letter, "
            "no '--', and a letter or a digit at both ends",
        )


def port_or_name(value: int | str, path: Path) -> Iterator[Finding]:
    """A port by number or by its name in the pod."""
    if isinstance(value, str):
        if value.isascii() and value.isdigit():
            yield Finding(path, f"{value!r} is text, so it would be the name of a port; leave out the quotes")
        else:
            yield from port_name(value, path)
    else:
        yield from port(value, path)


def address(value: str, path: Path) -> Iterator[Finding]:
    """An IPv4 or IPv6 address."""
    if not is_address(value):
        yield Finding(path, f"{shown(value)} is not an IP address; write one such as 10.0.0.1 or fd00::1")


def block(value: str, path: Path) -> Iterator[Finding]:
    """An address or a CIDR; bits behind the prefix may be set, as Istio allows."""
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        right = False
    else:
        right = "%" not in value and ("/" not in value or value.rpartition("/")[2].isdigit())
    if not right:
        yield Finding(
            path, f"{shown(value)} is not an address or a block of addresses; write one such as 10.0.0.0/8 or fd00::/8"
        )


def host(value: str, path: Path, *, wildcard: bool = False) -> Iterator[Finding]:
    """A DNS name; with `wildcard`, `*.example.com` as well."""
    rest = value[2:] if wildcard and value.startswith("*.") else value
    right = len(value) <= 253 and all(len(part) <= 63 and _HOST_LABEL.fullmatch(part) for part in rest.split("."))
    if not right:
        example = "www.example.com or *.example.com" if wildcard else "www.example.com"
        yield Finding(path, f"{shown(value)} is not a DNS name; write one such as {example}")


def is_address(value: str) -> bool:
    """True for an address without a zone."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value
