"""Something wrong at a place in a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Where in a document: keys of mappings and indexes of lists, outermost first."""


class Finding(NamedTuple):
    """A path and what is wrong there, with the mend; the text is shown behind the path and a colon."""

    path: Path
    message: str


def field_text(path: Sequence[str | int]) -> str:
    """`spec.ports[0].port`; a key that contains a dot is quoted: `metadata.labels['example.com/a']`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not part or any(character in ".[]'" or character.isspace() for character in part):
            text += f"[{part!r}]"
        else:
            text += f".{part}" if text else part
    return text
