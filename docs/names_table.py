"""What other libraries call the solvers and grids that are here, as Markdown.

``python docs/names_table.py`` writes the parts between ``<!-- generated: LIBRARY -->`` and
``<!-- end -->`` of the page; a test compares them.
"""

from __future__ import annotations

import re
from pathlib import Path

from sdeplug.registry import registry, told_of

PAGE = Path(__file__).resolve().parent / "guides" / "names.md"
_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


def table(library: str) -> str:
    """The names of one library that bundled plugins tell, solvers before grids."""
    known = registry().aliases().values()
    rows = sorted(
        (each.obj.kind != "solvers", each.short.lower(), each)
        for each in known
        if each.bundled and each.obj.library == library
    )
    lines = ["| there | here | numbers | |", "| --- | --- | --- | --- |"]
    for _, _, each in rows:
        same = "same" if each.obj.same else "like"
        lines.append(
            f"| `{each.short}` | `{_shortened(each.obj.written)}` | {same} | {told_of(each)} |"
        )
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with its tables as they should be."""
    return _PART.sub(lambda m: f"{m['head']}\n{table(m['name'])}\n\n{m['tail']}", page)


def _shortened(spec: str) -> str:
    """A spec without the long table of numbers that some grids have."""
    head, _, numbers = spec.partition("ratios=")
    return f"{head}ratios={','.join(numbers.split(',')[:2])},..." if numbers else spec


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
