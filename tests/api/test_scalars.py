"""Plain scalars, as Kubernetes' tools read them."""

import math

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sidestep.api.scalars import ScalarError, needs_quotes, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("Yes", True),
        ("off", False),
        ("y", "y"),
        ("0", 0),
        ("-17", -17),
        ("+5", 5),
        ("1_000", 1000),
        ("0644", 420),
        ("0o17", "0o17"),
        ("0x1F", 31),
        ("0b101", 5),
        ("08", "08"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", "1e3"),
        ("1.0e3", "1.0e3"),
        ("1.0e+3", 1000.0),
        ("12:30", "12:30"),
        ("8080:80", "8080:80"),
        ("10.0.0.1", "10.0.0.1"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31", "2026-01-31"),
        ("500m", "500m"),
        ("25%", "25%"),
        ("-", "-"),
        ("0x", "0x"),
        ("0x_", "0x_"),
        ("None", "None"),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_a_plain_scalar(text: str, value: object) -> None:
    result = plain(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "text", ["18446744073709551616", "9" * 100_000, "1.e+999", ".inf", "-.Inf", ".nan", "0x" + "f" * 99]
)
def test_numbers_that_json_cannot_hold_are_refused(text: str) -> None:
    with pytest.raises(ScalarError, match="put it in quotes"):
        plain(text)


@given(st.text() | st.from_regex(r"[-+.0-9xob_eE:]+", fullmatch=True))
def test_any_text_is_a_scalar_or_refused(text: str) -> None:
    try:
        value = plain(text)
    except ScalarError:
        return
    assert value is None or isinstance(value, str | int | float)
    if isinstance(value, float):
        assert math.isfinite(value)
    if isinstance(value, str):
        assert value == text


@given(
    st.text(min_size=1)
    | st.from_regex(r"[-+.0-9xob_eE:]+", fullmatch=True)
    | st.from_regex(r"[0-9a-f]{6}", fullmatch=True)
)
@example("12e456")
@example("081234")
def test_what_pyyaml_writes_without_quotes_is_text(text: str) -> None:
    written = yaml.safe_dump([text], default_flow_style=True, width=10_000, allow_unicode=True)
    if written == f"[{text}]\n":
        assert plain(text) == text


@pytest.mark.parametrize("text", ["1", "1e3", "1.5e3", ".5e3", "08", "0o7", "yes", "", "null", ".inf", "9" * 99])
def test_what_some_reader_takes_for_something_else_needs_quotes(text: str) -> None:
    assert needs_quotes(text)


@pytest.mark.parametrize("text", ["a", "10.0.0.1", "v1", "12:30", "500m"])
def test_other_text_needs_none(text: str) -> None:
    assert not needs_quotes(text)
