"""What the words of all commands share; imports click alone, so that help and TAB are quick."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from sdeplug.errors import ArgumentError

NAMED = "NAME[:OPTION=VALUE,...]"
KINDS = ("solvers", "sdes", "targets", "metrics", "scores", "grids", "aliases")


class Stopped(click.ClickException):
    """The user stopped what goes on where it was when the same command is given again."""

    exit_code = 130

    def __init__(self, how: str = "The same command goes on where it was.") -> None:
        super().__init__(f"stopped. {how}")

    @classmethod
    def kept(cls, resume: Path | None) -> Stopped:
        """Of a command that keeps what is finished where --resume says, if it does."""
        return cls(
            "With --resume DIR finished runs are kept, and the next call goes on there."
            if resume is None
            else f"The same command, with --resume {resume}, goes on where it was."
        )


class Command(click.Command):
    """A command whose complaints use the names that the user typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what was typed, then read it."""
        ctx.meta["sdeplug.typed"] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an argument that came from a flag is called as the flag."""
        try:
            return super().invoke(ctx)
        except ArgumentError as error:
            name = _typed(self.params, error.argument, ctx.meta["sdeplug.typed"])
            raise ArgumentError(name, error.value, error.allowed, error.hint) from error


def _typed(params: Sequence[click.Parameter], argument: str, words: Sequence[str]) -> str:
    """The flag of an argument, as it was typed; as it can be typed, if it was not."""
    found = [each for each in params if each.name == argument]
    if not found:
        return argument
    if isinstance(found[0], click.Argument):
        return argument.upper()
    flags = [*found[0].opts, *found[0].secondary_opts]
    typed = [flag for flag in flags for word in words if word.startswith(flag)]
    return max(typed or found[0].opts, key=len)


class Name(StringParamType):
    """The name of something, perhaps with options; the shell completes it.

    Args:
        kind: one of :data:`KINDS`.
        also: other words that may stand there.
    """

    name = "name"

    def __init__(self, kind: str, also: Sequence[str] = ()) -> None:
        self.kind, self.also = kind, also

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Full names that begin so; if there are none, those whose second half does, and then
        names from elsewhere."""
        found = begin([*self.also, *known_names(self.kind)], incomplete)
        return [CompletionItem(name) for name in found or names_elsewhere(self.kind, incomplete)]


def begin(names: Sequence[str], incomplete: str) -> list[str]:
    """The names that begin with a text; if there are none, short names that do.

    Args:
        names: full names.
        incomplete: what has been typed.
    """
    full = [name for name in names if name.startswith(incomplete)]
    shorts = [name.rpartition("/")[2] for name in names]
    return full or [each for each in shorts if each.startswith(incomplete)]


def names_elsewhere(kind: str, incomplete: str) -> list[str]:
    """What other libraries call solvers or grids, where it begins so and is one word of a shell."""
    names = [name.partition("/")[2] for name in known_names(f"aliases of {kind}")]
    return [each for each in names if each.startswith(incomplete) and " " not in each]


def known_names(kind: str) -> Sequence[str]:
    """Names of a kind: those remembered, or else those that the plugins offer.

    A shell waits for the answer and shows what is printed: nothing may fail or be said.
    """
    from sdeplug.registry import recall

    try:
        names = recall()
        if names is None:
            with _silence():
                from sdeplug.registry import all_names

                names = all_names()
        return names.get(kind, ())
    except Exception:
        return ()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


class File(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3
    """A path of a file that is to be written: what cannot be written is refused at once.

    Args:
        endings: what is added to the path; each file must be possible.
    """

    name = "file"

    def __init__(self, *endings: str) -> None:
        self.endings = endings or ("",)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, without its ending."""
        text = os.fspath(value)
        flag = _typed([param], param.name or "", ctx.meta["sdeplug.typed"]) if param and ctx else ""
        if not text or text.endswith(("/", os.sep)) or (self.endings[0] and Path(text).is_dir()):
            hint = f"For example {os.path.join(text, 'samples')!r}." if text else ""
            raise ArgumentError(flag, text, "the path of a file, not of a folder", hint)
        for ending in self.endings:
            _demand_writable(flag, Path(text + ending))
        return Path(text)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Left to the shell."""
        return [CompletionItem(incomplete, type="file")]


def _demand_writable(flag: str, path: Path) -> None:
    """Refuse a file that cannot be written, before anything is computed for it."""
    folder = path.absolute().parent
    if path.is_dir():
        raise ArgumentError(flag, str(path), "the path of a file, not of a folder")
    if not folder.is_dir():
        raise ArgumentError(flag, str(path), "a file in a folder that exists", f"Make {folder}.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ArgumentError(flag, str(path), "a file that you may write")
