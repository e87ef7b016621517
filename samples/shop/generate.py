"""Copies the services' code from src/ into the manifests, which carry it as an argument of `python3 -c`.

So one set of manifests runs on a cluster, where nothing but a Python image is needed, and on the local runtime,
where containers are processes of this host. `generate.py --check` only says whether something has to be copied.
"""

import re
import sys
from pathlib import Path

SHOP = Path(__file__).parent
# The header of a block scalar that names its source, then the block: every line indented deeper, or empty.
BLOCK = re.compile(r"^(?P<indent> *)- \| # (?P<source>src/\w+\.py)\n(?:(?P=indent) +.*\n|\n)+", re.MULTILINE)


def with_code(manifest: str) -> str:
    """The manifest with every such block replaced by what its source file holds."""

    def block(match: re.Match[str]) -> str:
        indent, source = match["indent"], match["source"]
        code = (SHOP / source).read_text().rstrip("\n").split("\n")
        lines = [f"{indent}  {line}" if line else "" for line in code]
        return "\n".join([f"{indent}- | # {source}", *lines, ""])

    return BLOCK.sub(block, manifest)


def main() -> int:
    stale = []
    for path in sorted(SHOP.glob("*.yaml")):
        text = path.read_text()
        if (new := with_code(text)) != text:
            stale.append(path)
            if "--check" not in sys.argv:
                path.write_text(new)
    for path in stale:
        print(f"{path.name}: {'differs from src/' if '--check' in sys.argv else 'updated'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
