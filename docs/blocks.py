"""Run the code of the documentation, and compare what it prints with what the page says.

The ``python`` blocks of a page share one namespace and run in order.  A block that starts with
``text title="Output"`` right after one of them must be what it printed.  Lines that start with
``$ sdeplug`` in a ``console`` block are run as commands, by themselves, and those of a block with
the title ``Shell`` in order, between the code of the page.  A block whose title is the name of a
TOML file is written to that file first.  One whose title is ``Needs NAME`` is left out where
no such package is installed.  ``python docs/blocks.py PAGE ...`` writes what was printed into the
pages.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shlex
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

from sdeplug.cli import main as cli

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = 'text title="Output"'
SHELL = 'console title="Shell"'

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+) *(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: what follows its ticks, its text, and where the text is in the page."""

    info: str
    code: str
    margin: str
    start: int
    end: int
    line: int


def pages() -> list[Path]:
    """All pages: the README and everything under docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            found["info"].strip(),
            dedent(found["code"]),
            found["indent"],
            found.start("code"),
            found.end("code"),
            text.count("\n", 0, found.start("code")),
        )
        for found in _FENCE.finditer(text)
    ]


def needed(block: Block) -> str | None:
    """The package that a block cannot do without, and that need not be installed."""
    found = re.search(r'title="Needs ([\w.]+)"', block.info)
    return found[1] if found else None


def _left_out(block: Block) -> bool:
    name = needed(block)
    return name is not None and importlib.util.find_spec(name) is None


def runs(path: Path) -> Iterator[tuple[Block, str]]:
    """Run the Python blocks of a page in the working directory.

    Yields:
        Each block that shows an output, and what was printed.
    """
    module = types.ModuleType("page_" + re.sub(r"\W", "_", path.stem))
    module.__file__ = None  # type: ignore[assignment]
    sys.modules[module.__name__] = module  # so that classes of the page can be pickled
    text, printed, position = path.read_text(encoding="utf-8"), "", 0
    try:
        for block in blocks(text):
            if _left_out(block):
                continue
            if block.info == OUTPUT:
                between = text[position : block.start].replace("`", "").replace(OUTPUT, "")
                if not between.strip():
                    yield block, printed
            elif block.info.split(" ")[0] == "python":
                code = compile("\n" * block.line + block.code, str(path), "exec")
                with contextlib.redirect_stdout(io.StringIO()) as stream:
                    exec(code, vars(module))
                printed = "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())
                position = block.end
            elif block.info == SHELL:
                for arguments in _arguments(block):
                    with contextlib.redirect_stdout(io.StringIO()):
                        cli.commands.main(arguments, prog_name="sdeplug", standalone_mode=False)
    finally:
        del sys.modules[module.__name__]


def write_files(path: Path) -> None:
    """Write the files that a page shows into the working directory."""
    for block in blocks(path.read_text(encoding="utf-8")):
        title = re.search(r'title="([\w-]+\.toml)"', block.info)
        if title:
            Path(title[1]).write_text(block.code, encoding="utf-8")


def commands(path: Path) -> list[list[str]]:
    """The arguments of every sdeplug command that a page shows, and that stands by itself."""
    found = blocks(path.read_text(encoding="utf-8"))
    return [
        each
        for block in found
        if block.info.split(" ")[0] == "console" and block.info != SHELL
        for each in _arguments(block)
    ]


def _arguments(block: Block) -> list[list[str]]:
    """Those of the sdeplug commands in a block."""
    lines = block.code.replace("\\\n", " ").splitlines()
    return [shlex.split(line[2:])[1:] for line in lines if line.startswith("$ sdeplug")]


def _write(path: Path) -> None:
    """Put into a page what its blocks print."""
    changes = list(runs(path))
    text = path.read_text(encoding="utf-8")
    for block, printed in reversed(changes):
        text = text[: block.start] + indent(printed, block.margin) + text[block.end :]
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "Agg"
    wanted = [Path(each).resolve() for each in sys.argv[1:]] or pages()
    for page in wanted:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            _write(page)
            os.chdir(ROOT)
