"""The command line: the commands together, and what is said when one of them cannot go on."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings

import click

from sdeplug.cli.calibrate import calibrate
from sdeplug.cli.check import check
from sdeplug.cli.compare import compare
from sdeplug.cli.condition import condition
from sdeplug.cli.demo import demo
from sdeplug.cli.diagnose import diagnose
from sdeplug.cli.doctor import doctor
from sdeplug.cli.likelihood import likelihood
from sdeplug.cli.list import list_, solvers
from sdeplug.cli.new import new
from sdeplug.cli.sample import sample
from sdeplug.cli.train import train
from sdeplug.cli.tune import tune
from sdeplug.errors import PluginWarning, SdeplugError

_MEMORY = ("alloc", "out of memory", "overflow")  # what torch says, in errors of any type


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sdeplug")
def commands() -> None:
    """Diffusion samplers as plugins on a generic SDE library.

    \b
    A solver, SDE, grid or corrector is written NAME[:OPTION=VALUE,...], for example
      song/langevin:snr=0.1,steps=2
    """


for each in (
    list_,
    solvers,
    train,
    sample,
    likelihood,
    condition,
    diagnose,
    tune,
    calibrate,
    check,
    compare,
    new,
    doctor,
    demo,
):
    commands.add_command(each)


def main() -> None:
    """Entry point: one clear line and exit status 2 for wrong input, 1 for a failed run.

    With ``SDEPLUG_TRACEBACK=1`` in the environment, it is also shown where an error comes from.
    """
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", PluginWarning)
    try:
        status = _finished()
    except Exception as error:
        if os.environ.get("SDEPLUG_TRACEBACK") == "1":
            traceback.print_exception(error)
        status, message = _told(error)
        if message:
            _complain(message)
    sys.exit(status)


def _finished() -> int:
    """Run the command, and see that all it printed has arrived."""
    try:
        status = commands.main(prog_name="sdeplug", standalone_mode=False)
        sys.stdout.flush()
    except OSError:
        # What is still in the buffer would fail again at exit, and be told in many lines.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
    return status if isinstance(status, int) else 0


def _told(error: Exception) -> tuple[int, str]:
    """Exit status and message for what went wrong."""
    text = str(error) or type(error).__name__
    if isinstance(error, click.exceptions.Abort):
        return 130, "stopped."
    if isinstance(error, click.ClickException):
        return error.exit_code, f"{error.format_message()}{_way_on(error)}"
    if isinstance(error, BrokenPipeError):
        return 0, ""
    if isinstance(error, SdeplugError):
        return 1 if isinstance(error, (ArithmeticError, OSError)) else 2, text
    if isinstance(error, OSError):
        return 1, f"the output could not be written: {text}."
    if isinstance(error, MemoryError) or any(each in text.lower() for each in _MEMORY):
        return 1, f"not enough memory: ask for fewer samples or steps. ({text})"
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}, line {place.lineno}"
    hint = "SDEPLUG_TRACEBACK=1 in the environment shows how it came to it."
    return 1, f"{type(error).__name__} in {where}: {text}. {hint}"


def _way_on(error: click.ClickException) -> str:
    """Where to read what a command takes, after words that it does not take."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    end = "" if error.format_message().endswith((".", "?")) else "."
    return f"{end} `{error.ctx.command_path} --help` lists what it takes."


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(f"sdeplug: {' '.join(message.split())}", err=True)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"sdeplug: warning: {message}", err=True)
