"""Checks of single values."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.api import validate
from sidestep.api.finding import Finding, Path, field_text

_PATH: Path = ("spec", "x")


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (
            validate.name,
            ["a", "a.b-c.9", "9", "x" * 253],
            ["", "A", "a_b", ".a", "a.", "a..b", "-a", "a-", "x" * 254, "a\n"],
        ),
        (validate.label_name, ["a", "a-b", "9a", "x" * 63], ["", "a.b", "A", "x" * 64, "-a", "a-", "ä"]),
        (validate.service_name, ["a", "a1-b"], ["", "1a", "a.b", "a-", "x" * 64]),
        (validate.port_name, ["http", "a", "9p", "x" * 15], ["", "80", "a--b", "-a", "x" * 16, "HTTP"]),
        (validate.label_value, ["", "A_b.c-1", "x" * 63], ["-a", "a-", "a b", "x" * 64, "a/b"]),
        (
            validate.qualified_name,
            ["a", "A.b_c", "example.com/a"],
            ["", "a/", "/a", "A.com/a", "a/b/c", "a b", "x" * 64],
        ),
        (
            validate.address,
            ["10.0.0.1", "::1", "fd00::5"],
            ["", "10.0.0", "10.0.0.256", "fe80::1%eth0", "a", "10.0.0.0/8", "010.0.0.1"],
        ),
        (
            validate.block,
            ["10.0.0.0/8", "10.1.2.3/8", "10.0.0.1", "::/0"],
            ["", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "a/8", "fe80::%a/64"],
        ),
        (validate.host, ["a", "a.b.C", "_x.a"], ["", "*.a", "a..b", "a b", "-a", "a.", f"{'x' * 64}.a"]),
    ],
)
def test_texts(check: Callable[[str, Path], Iterator[Finding]], right: list[str], wrong: list[str]) -> None:
    for value in right:
        assert not list(check(value, _PATH)), value
    for value in wrong:
        findings = list(check(value, _PATH))
        assert findings, value
        assert all(finding.path == _PATH and finding.message for finding in findings)


def test_ports() -> None:
    assert not list(validate.port(1, _PATH))
    assert not list(validate.port(65535, _PATH))
    assert [f.message for f in validate.port(0, _PATH)] == [
        "expected an integer from 1 to 65535, got 0; that is no port"
    ]
    assert list(validate.port(65536, _PATH))
    assert not list(validate.port_or_name("http", _PATH))
    (finding,) = validate.port_or_name("80", _PATH)
    assert "leave out the quotes" in finding.message


def test_wildcard_hosts() -> None:
    assert not list(validate.host("*.example.com", _PATH, wildcard=True))
    for value in ("*", "a.*.com", "*a.com", "**.a"):
        assert list(validate.host(value, _PATH, wildcard=True)), value


def test_labels_name_the_key() -> None:
    findings = list(validate.labels({"a": "b c", "d e": "f", "fine": "x"}, ("metadata", "labels")))
    assert [finding.path[-1] for finding in findings] == ["a", "d e"]


def test_annotations_are_bounded() -> None:
    assert not list(validate.annotation_values({"Example.com/a": "any text: \n {}"}, _PATH))
    assert list(validate.annotation_values({"a": "x" * 262_144}, _PATH))


@given(st.text())
def test_no_text_breaks_a_check(value: str) -> None:
    checks = (
        validate.name,
        validate.label_name,
        validate.service_name,
        validate.port_name,
        validate.label_value,
        validate.qualified_name,
        validate.address,
        validate.block,
        validate.host,
    )
    for check in checks:
        list(check(value, _PATH))


def test_field_text() -> None:
    assert field_text(()) == ""
    assert field_text(("spec", "ports", 0, "port")) == "spec.ports[0].port"
    assert field_text(("metadata", "labels", "example.com/a")) == "metadata.labels['example.com/a']"
    assert field_text((0, "a")) == "[0].a"
