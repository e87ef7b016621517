"""Which version of a resource is in force."""

from hypothesis import given
from hypothesis import strategies as st

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Problem, parse_documents
from sidestep.source.files import FileContent
from sidestep.source.in_force import InForce, advance

_BROKEN = "a: [\n"


def service(name: str, port: int | str = 80) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n"


def content(file: str, *texts: str) -> FileContent:
    result = parse_documents("---\n".join(texts), file=file)
    return FileContent(file=file, resources=result.resources, problems=result.problems)


def unreadable(file: str) -> FileContent:
    return FileContent(file=file, problems=(Problem(file=file, line=0, field="", message="x"),), readable=False)


def ports(state: InForce) -> dict[str, int]:
    return {key.name: parsed.document["spec"]["ports"][0]["port"] for key, parsed in state.resources.items()}


def test_the_last_good_version_stays_until_a_better_one_comes() -> None:
    state = advance(InForce(), [content("f", service("a", 1), service("b", 2))])
    state = advance(state, [content("f", service("a", "x"), service("b", 3))])
    assert ports(state) == {"a": 1, "b": 3}
    assert [problem.key for problem in state.problems] == [ResourceKey(kind="Service", namespace="default", name="a")]
    state = advance(state, [content("f", service("a", "y"), service("b", 3))])
    assert ports(state)["a"] == 1
    state = advance(state, [content("f", service("a", 4), service("b", 3))])
    assert ports(state) == {"a": 4, "b": 3}
    assert not state.problems


def test_what_was_never_good_is_not_there() -> None:
    assert ports(advance(InForce(), [content("f", service("a", "x"), service("b"))])) == {"b": 80}


def test_what_is_deleted_goes() -> None:
    state = advance(InForce(), [content("f", service("a"), service("b")), content("g", service("c"))])
    state = advance(state, [content("f", service("b"))])
    assert ports(state) == {"b": 80}


def test_a_document_without_a_key_keeps_what_came_from_its_file() -> None:
    state = advance(InForce(), [content("f", service("a"), service("b")), content("g", service("c"))])
    state = advance(state, [content("f", _BROKEN, service("b", 2)), content("h", service("d"))])
    assert ports(state) == {"a": 80, "b": 2, "d": 80}


def test_an_unreadable_file_or_folder_keeps_what_came_from_it() -> None:
    state = advance(
        InForce(), [content("r/f", service("a")), content("r/g", service("b")), content("rs/h", service("c"))]
    )
    assert ports(advance(state, [unreadable("r/f")])) == {"a": 80}
    assert ports(advance(state, [unreadable("r/")])) == {"a": 80, "b": 80}


def test_a_bad_resource_that_moved_to_another_file_stays() -> None:
    state = advance(InForce(), [content("f", service("a"))])
    assert ports(advance(state, [content("g", service("a", "x"))])) == {"a": 80}


def test_of_duplicates_the_first_wins() -> None:
    state = advance(InForce(), [content("f", service("a", 1)), content("g", service("a", 2), service("a", 3))])
    assert ports(state) == {"a": 1}
    assert [(problem.file, problem.line) for problem in state.problems] == [("g", 1), ("g", 6)]
    assert "f:1" in state.problems[0].message
    assert ports(advance(state, [content("g", service("a", 2))])) == {"a": 2}


def test_ignored_kinds_keep_nothing() -> None:
    state = advance(InForce(), [content("f", service("a"))])
    assert ports(advance(state, [content("f", "apiVersion: x/v1\nkind: X\nmetadata: {name: a}\n")])) == {}


_versions = st.lists(
    st.dictionaries(
        st.sampled_from(["f", "g"]), st.dictionaries(st.sampled_from("abc"), st.sampled_from([1, 2, "x"])), max_size=2
    ),
    max_size=5,
)


@given(_versions)
def test_good_versions_are_in_force_and_bad_ones_never_remove(history: list[dict[str, dict[str, int | str]]]) -> None:
    state = InForce()
    for version in history:
        before = ports(state)
        state = advance(state, [content(f, *(service(n, p) for n, p in v.items())) for f, v in sorted(version.items())])
        given_ports = [(name, port) for _, v in sorted(version.items()) for name, port in v.items()]
        for name in "abc":
            good = [port for n, port in given_ports if n == name and port != "x"]
            bad = any(n == name and port == "x" for n, port in given_ports)
            expected = good[0] if good else before.get(name) if bad else None
            assert ports(state).get(name) == expected
