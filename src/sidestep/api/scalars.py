"""What a plain (unquoted) YAML scalar means.

YAML 1.1, as Kubernetes' own tools read it: `yes` and `on` are true, 0644 is octal. Text are times and sexagesimal
numbers (`12:30`), since Kubernetes' API has neither, and what is no number in YAML 1.1 though it is in other dialects
(`12e4`, `089`): hashes in labels look like that, and PyYAML writes them without quotes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

Scalar = str | int | float | bool | None

_CONSTANTS: Mapping[str, bool | None] = MappingProxyType(
    dict.fromkeys(("", "~", "null", "Null", "NULL"), None)
    | {form: True for word in ("true", "yes", "on") for form in (word, word.title(), word.upper())}
    | {form: False for word in ("false", "no", "off") for form in (word, word.title(), word.upper())}
)
_NUMBER_START = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)", re.ASCII)
_OTHER_BASE = re.compile(r"([-+]?)(?:0x([0-9a-fA-F_]+)|0b([01_]+)|0([0-7_]+))", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9]*)([eE][-+][0-9]+)?", re.ASCII)
_OTHER_DIALECTS = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?|\.[0-9_]+[eE][0-9]+|0o[0-7_]+)", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_LONGEST = 64


class ScalarError(ValueError):
    """The scalar is a number that JSON, and so Kubernetes' API, cannot hold."""


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar; raises `ScalarError`."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_START:
        return text
    return _number(text)


def needs_quotes(text: str) -> bool:
    """True if text must be quoted for every reader to take it as text, those of other dialects too."""
    try:
        return plain(text) != text or bool(_OTHER_DIALECTS.fullmatch(text))
    except ScalarError:
        return True


def _number(text: str) -> Scalar:
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"{text} is no number that a resource can hold; put it in quotes if it is text")
    if _DECIMAL.fullmatch(text):
        return _integer(text, text.replace("_", ""), 10)
    if other := _OTHER_BASE.fullmatch(text):
        sign, hexadecimal, binary, octal = other.groups()
        digits, base = next((d, b) for d, b in ((hexadecimal, 16), (binary, 2), (octal, 8)) if d is not None)
        digits = digits.replace("_", "")
        return _integer(text, sign + digits, base) if digits else text
    if _FLOAT.fullmatch(text):
        value = float(text.replace("_", "")) if len(text) <= _LONGEST else math.inf
        if not math.isfinite(value):
            raise ScalarError(_too_large(text))
        return value
    return text


def _integer(text: str, digits: str, base: int) -> int:
    # beyond 64 characters it is out of range for sure, and int() is quadratic
    if len(digits) > _LONGEST + 2:
        raise ScalarError(_too_large(text))
    value = int(digits, base)
    if not -(2**63) <= value < 2**64:
        raise ScalarError(_too_large(text))
    return value


def _too_large(text: str) -> str:
    return f"the number {text[:20]}{'…' if len(text) > 20 else ''} is out of range; put it in quotes if it is text"
