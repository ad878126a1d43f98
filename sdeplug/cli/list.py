"""The words of ``sdeplug list``."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from sdeplug.cli.words import KINDS, Command, begin, known_names, names_elsewhere


class _Word(StringParamType):
    """A part of a name: the shell offers the names of the kind."""

    name = "word"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of the kind that was typed before."""
        kind = ctx.params.get("kind") or ("solvers" if ctx.info_name == "solvers" else "")
        found = begin(known_names(kind), incomplete) or names_elsewhere(kind, incomplete)
        return [CompletionItem(name) for name in found]


class _Kind(StringParamType):
    """One of the kinds; anything else is a word to look for in all of them."""

    name = "kind"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The kinds."""
        return [CompletionItem(kind) for kind in begin(KINDS, incomplete)]


_json = click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")


@click.command("list", cls=Command)
@click.argument("kind", required=False, type=_Kind(), metavar=f"[{'|'.join(KINDS)}]")
@click.argument("word", required=False, type=_Word())
@_json
def list_(kind: str | None, word: str | None, as_json: bool) -> None:
    """List what has a name: solvers and all else.

    Only names with WORD in them, if it is given; if there are none, what WORD is said of.
    """
    from sdeplug.cli.work.list import run

    if kind is not None and kind not in KINDS and word is None:
        kind, word = None, kind
    run(kind, word, as_json)


@click.command(hidden=True, cls=Command)
@click.argument("word", required=False, type=_Word())
@_json
def solvers(word: str | None, as_json: bool) -> None:
    """List solvers: `sdeplug list solvers`."""
    from sdeplug.cli.work.list import run

    run("solvers", word, as_json)
