"""The first page that a person reads shows the file that it says."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_manifest_on_the_page_is_the_sample() -> None:
    page = (ROOT / "docs" / "getting-started.md").read_text()
    assert page.partition("```yaml\n")[2].partition("```")[0] == (ROOT / "samples" / "two-pods.yaml").read_text()
