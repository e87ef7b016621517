from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestep.mesh.selectors import Selecting, SelectorIndex

label_sets = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"))
selectors = st.lists(st.tuples(st.sampled_from(["", "n", "m"]), label_sets), max_size=8)


@given(selectors, st.sampled_from(["n", "m", "o"]), label_sets)
def test_finds_what_a_look_at_all_finds(
    pairs: list[tuple[str, dict[str, str]]], where: str, labels: dict[str, str]
) -> None:
    index = SelectorIndex(
        Selecting(namespace=namespace, labels=wanted, item=number) for number, (namespace, wanted) in enumerate(pairs)
    )
    expected = [
        number
        for number, (namespace, wanted) in enumerate(pairs)
        if namespace in ("", where) and wanted and all(labels.get(key) == value for key, value in wanted.items())
    ]
    assert list(index.selecting(where, labels)) == expected
