import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.identity.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("24h", 86400), ("90s", 90), ("1h30m", 5400), ("500ms", 0.5), ("1.5s", 1.5), ("2d", 172800)]
)
def test_reads(text: str, seconds: float) -> None:
    assert parse_duration(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "0s", "1h ", "1w", "999999999d999999999d"])
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.text(alphabet="0123456789.hmsd -", max_size=12))
def test_any_text_is_a_positive_duration_or_a_value_error(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert duration > dt.timedelta()
