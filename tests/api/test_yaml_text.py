"""YAML documents, their lines, their faults; and no text that breaks the reader."""

import time
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sidestep.api.yaml_text import Document, SyntaxFault, documents


def one(text: str) -> Document:
    (document,) = documents(text)
    assert isinstance(document, Document), document
    return document


def fault(text: str) -> SyntaxFault:
    (found,) = documents(text)
    assert isinstance(found, SyntaxFault), found
    return found


def test_lines_of_fields() -> None:
    text = "# comment\na:\n  b:\n    - c: 1\n    -\n      c: 2\n  d: {e: 1,\n    f: 2}\n"
    document = one(text)
    assert document.line == 2
    assert document.line_of(("a",)) == 2
    assert document.line_of(("a", "b")) == 3
    assert document.line_of(("a", "b", 0, "c")) == 4
    assert document.line_of(("a", "b", 1, "c")) == 6
    assert document.line_of(("a", "d", "f")) == 8
    assert document.line_of(("a", "d", "missing")) == 7
    assert document.line_of(("a", "b", 7)) == 3


def test_lines_count_on_over_documents() -> None:
    first, second, third = documents("---\na: 1\n---\n\n# x\nb: 1\n...\n%YAML 1.1\n---\nc: 1\n")
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert isinstance(third, Document)
    assert [first.line, second.line, third.line] == [2, 6, 10]


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# comment\n", "---\n", "---\n---\n# x\n---", "...\n", "null\n", "\ufeff", "%YAML 1.1\n---\n"]
)
def test_empty_documents_are_left_out(text: str) -> None:
    assert not list(documents(text))


def test_a_syntax_error_leaves_the_other_documents() -> None:
    before, broken, after = documents("a: 1\n---\nb: [\n---\nc: 1\n")
    assert isinstance(before, Document)
    assert isinstance(broken, SyntaxFault)
    assert isinstance(after, Document)
    assert after.value == {"c": 1}
    assert after.line == 5
    assert 3 <= broken.line <= 4
    assert "not YAML" in broken.message


def test_a_marker_within_a_block_is_text() -> None:
    assert one("a: |\n  ---\n  x\n").value == {"a": "---\nx\n"}


def test_nulls_in_mappings_are_left_out() -> None:
    assert one("a: null\nb:\nc: [null]\nd: ~\ne: x\n").value == {"c": [None], "e": "x"}


def test_aliases_and_merge_keys() -> None:
    text = "base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\nlist: [*base]\ntwo: {<<: [{b: 1}, {b: 2, c: 3}]}\n"
    value = one(text).value
    assert value["use"] == {"a": 1, "b": 3}
    assert value["list"] == [{"a": 1, "b": 2}]
    assert value["two"] == {"b": 1, "c": 3}


def test_an_alias_is_a_copy() -> None:
    value = one("a: &a {x: 1}\nb: *a\n").value
    assert value["a"] is not value["b"]


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("a: 1\na: 2\n", ("a",), "given twice"),
        ("a: !!binary aGk=\n", ("a",), "tag"),
        ("a: !Ref x\n", ("a",), "tag"),
        ("a: !!set {x}\n", ("a",), "tag"),
        ("? [a]\n: 1\n", (), "key must be text"),
        ("a: .inf\n", ("a",), "quotes"),
        ('a: "x\\0y"\n', ("a",), "NUL"),
        ("a: {<<: 5}\n", ("a", "<<"), "merged"),
    ],
)
def test_faults(text: str, path: tuple[str, ...], reason: str) -> None:
    (found,) = one(text).faults
    assert found.path == path
    assert reason in found.message


def test_explicit_tags_of_plain_types_are_read() -> None:
    document = one("a: !!str 5\nb: !!int '5'\nc: !!map {x: 1}\nd: '5'\n")
    assert document.value == {"a": "5", "b": 5, "c": {"x": 1}, "d": "5"}
    assert not document.faults


def test_a_tab_is_named_as_the_cause() -> None:
    assert "not with tabs" in fault("a:\n\tb: 1\n").message
    assert fault("a:\n\tb: 1\n").line == 2


def test_control_characters_are_faults_with_their_line() -> None:
    found = fault("a: 1\nb: \x00\n")
    assert found.line == 2
    assert fault("a: 1\nb: \ud800\n").line == 2


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "])
@pytest.mark.parametrize("count", [65, 1_000, 300_000])
def test_deep_nesting_is_refused(opening: str, count: int) -> None:
    assert "deep" in fault(opening * count).message


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 15)]
    start = time.monotonic()
    assert "aliases" in fault("\n".join(lines)).message
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {b: *a}", "a: &a {<<: *a}", "&a [*a, *a]"])
def test_aliases_of_themselves_are_refused(text: str) -> None:
    assert "aliases" in fault(text).message


def test_json_with_tabs_and_surrogate_pairs() -> None:
    document = one('{\n\t"a": "\\ud83d\\ude00 \\\\ud83d\\\\ude00 \\u00e9",\n\t"b": 1\n}\n')
    assert document.value == {"a": "😀 \\ud83d\\ude00 é", "b": 1}
    assert document.line_of(("b",)) == 3
    assert one("a: |\n  \\ud83d\\ude00\n").value == {"a": "\\ud83d\\ude00\n"}


_names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
# a number with an exponent and without a dot is text in YAML 1.1, if also not in JSON
_floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: "e" not in repr(value))
_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**64 - 1) | _floats | _names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names.filter(lambda n: n != "<<"), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_names.filter(lambda name: name != "<<"), _values, min_size=1, max_size=4))
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    document = one(yaml.safe_dump(value, allow_unicode=True))
    assert not document.faults
    assert document.value == value


@given(st.dictionaries(_names.filter(lambda name: name != "<<"), _values, min_size=1, max_size=4))
def test_json_is_read(value: dict[str, Any]) -> None:
    document = one(msgspec.json.encode(value).decode())
    assert document.value == value


_FRAGMENTS = [
    "a: ",
    "- ",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a ",
    "<<: ",
    "!!str ",
    "!x ",
    "|\n",
    ">\n",
    "---",
]
_FRAGMENTS += [
    "...",
    "\n",
    "  ",
    "\t",
    "'",
    '"',
    "#",
    "%YAML 1.1\n",
    "x",
    "1",
    "\\",
    "@",
    "`",
    "\0",
    "\r",
    "\x85",
    "\u2028",
]
_fragments = st.lists(st.sampled_from(_FRAGMENTS), max_size=30).map("".join)


@given(st.text() | _fragments)
@example("\ud800")
@example("--- --- a")
@example("a: 1\r---\rb: 2")
def test_no_text_breaks_the_reader(text: str) -> None:
    lines = len(text.splitlines()) + 1
    for found in documents(text):
        assert 1 <= found.line <= lines
        if isinstance(found, Document):
            assert 1 <= found.line_of(("a", 0, "b")) <= lines
