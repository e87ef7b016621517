import pytest

from sidestep.cli.tables import age, age_of, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("A", "B"), [("long", "x")]) == "A      B\nlong   x"
    assert table(("A",), []) == "A"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (5, "5s"), (119, "119s"), (303, "5m3s"), (1800, "30m"), (7200, "2h"), (172_800, "2d")],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_age_of() -> None:
    assert age_of("1970-01-01T00:00:10Z", 15) == "5s"
    assert age_of("", 15) == "?"
