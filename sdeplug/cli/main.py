"""The command line. What a command does is elsewhere; here are its words."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import click
import torch

from sdeplug.errors import ArgumentError, PluginWarning, SdeplugError

_NAMED = "NAME[:OPTION=VALUE,...]"
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sdeplug")
def commands() -> None:
    """Diffusion samplers as plugins on a generic SDE library.

    \b
    A solver, SDE, grid or corrector is written NAME[:OPTION=VALUE,...], for example
      song/langevin:snr=0.1,steps=2
    """


def main() -> None:
    """Entry point: one clear line and exit status 2 for wrong input, 1 for a failed run."""
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", PluginWarning)
    try:
        status = commands.main(prog_name="sdeplug", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _complain(error.format_message())
        sys.exit(2)
    except ArithmeticError as error:
        _complain(str(error))
        sys.exit(1)
    except SdeplugError as error:
        _complain(str(error))
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


@commands.command()
def solvers() -> None:
    """List all solvers, their options and origins."""
    from sdeplug.cli.tables import failures_table, solvers_table
    from sdeplug.cli.terminal import console

    console().print(solvers_table())
    failures = failures_table()
    if failures is not None:
        console().print(failures)


@commands.command()
@click.option(
    "--pipeline", type=click.Path(path_type=Path), help="TOML or JSON file of a pipeline."
)
@click.option("--target", default="core/eight-gaussians", show_default=True, metavar="NAME",
              help="Distribution to sample; its score is exact.")  # fmt: skip
@click.option("--sde", metavar=_NAMED, help="Forward SDE.  [default: core/vp]")
@click.option("--solver", metavar=_NAMED, help="Integrator.  [default: exponential/auto]")
@click.option("--corrector", metavar=_NAMED, help="Corrector after each step.")
@click.option("--grid", metavar=_NAMED, help="Time grid of the steps.  [default: log-snr]")
@click.option(
    "--steps", type=int, help="Steps of the grid, or budget of the default.  [default: 100, or 32]"
)
@click.option("--stochasticity", type=float,
              help="0: probability flow; 1: reverse SDE.  [default: 1.0]")  # fmt: skip
@click.option("--denoise/--no-denoise", default=None, help="Final jump to t = 0.  [default: yes]")
@click.option("-n", "--samples", default=1000, show_default=True, help="How many samples.")
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
@click.option("--dtype", type=click.Choice(list(_DTYPES)), default="float32", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="Device, as torch names it.")
@click.option("--out", default="samples", show_default=True, type=click.Path(path_type=Path),
              help="Write OUT.npz and OUT.png.")  # fmt: skip
def sample(
    pipeline: Path | None,
    target: str,
    samples: int,
    seed: int,
    dtype: str,
    device: str,
    out: Path,
    **parts: object,
) -> None:
    """Sample a target, by flags or a file.

    Flags describe one leg and a final denoising; a file (--pipeline) any number of legs.
    """
    from sdeplug.cli.sample import Parts, Request, run

    given = {name: value for name, value in parts.items() if value is not None}
    if pipeline is not None and given:
        flags = ", ".join(f"--{name}" for name in given)
        raise ArgumentError("--pipeline", str(pipeline), f"given without {flags}")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        hint = "`sdeplug doctor` lists the devices."
        raise ArgumentError("--device", device, "a device of this machine", hint) from error
    description = Parts(**given) if pipeline is None else pipeline  # type: ignore[arg-type]
    run(Request(description, target, samples, seed, _DTYPES[dtype], place, out))


@commands.command()
@click.argument("solver", metavar=_NAMED)
@click.option("--fast", is_flag=True, help="Only the checks that are free of noise.")
@click.option("--json", "numbers", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the report as JSON.")  # fmt: skip
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE",
              help="Draw the observed orders, and the laws that are wrong.")  # fmt: skip
def check(solver: str, fast: bool, numbers: Path | None, picture: Path | None) -> int:
    """Check the promises of a solver.

    Exit status 1 if one is not kept.
    """
    from sdeplug.cli.check import Request, run

    return 0 if run(Request(solver, fast, numbers, picture)) else 1


@commands.command()
@click.argument("solvers", metavar=f"[{_NAMED}]...", nargs=-1)
@click.option("--target", default="core/eight-gaussians", show_default=True, metavar="NAME",
              help="Distribution to sample; its score is exact.")  # fmt: skip
@click.option("--sde", default="core/vp", show_default=True, metavar=_NAMED, help="Forward SDE.")
@click.option("--nfe", default="10,20,50,100", show_default=True, metavar="N,...",
              help="Budgets of score evaluations.")  # fmt: skip
@click.option("--seeds", default=3, show_default=True, help="How many repetitions.")
@click.option("--metric", "metrics", multiple=True, metavar=_NAMED,
              help="Metric, once for each.  [default: those that suit the target]")  # fmt: skip
@click.option("--grid", default="log-snr", show_default=True, metavar=_NAMED,
              help="Grid of the solvers with fixed steps.")  # fmt: skip
@click.option("--samples", "-n", type=int, help="Samples in a run.  [default: 20000; 2000 images]")
@click.option("--score-error", "score_errors", default="0,0.1", show_default=True, metavar="X,...",
              help="Sizes of a smooth error of the score.")  # fmt: skip
@click.option("--stochasticity", default="1", show_default=True, metavar="L,...",
              help="A stochastic solver runs at each.")  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE",
              help="Draw error against cost.")  # fmt: skip
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a page that needs no other file.")  # fmt: skip
@click.option("--json", type=click.Path(path_type=Path), metavar="FILE",
              help="Write everything as JSON.")  # fmt: skip
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR",
              help="Keep finished runs there, and use what is there.")  # fmt: skip
def compare(
    plot: Path | None,
    html: Path | None,
    json: Path | None,
    jobs: int,
    resume: Path | None,
    **request: Any,
) -> None:
    """Compare solvers at equal budgets of score evaluations.

    Without a solver: eight that sdeplug brings. With exact scores and with perturbed ones.
    """
    from sdeplug.cli.compare import Output, Request, run

    run(Request(**request), Output(plot, html, json, jobs, resume))


@commands.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path),
              help="Where to write.  [default: sdeplug-NAME]")  # fmt: skip
def new(name: str, folder: Path | None) -> None:
    """Write a new plugin.

    It is a whole distribution, which installs and passes its tests as written.
    """
    from sdeplug.registry import write_plugin

    folder = folder or Path(f"sdeplug-{name}")
    for path in write_plugin(name, folder):
        click.echo(f"wrote {path}")
    click.echo(f"next: pip install -e {folder} && pytest {folder}")


@commands.command()
def doctor() -> int:
    """Show versions, devices, plugins and failures.

    Exit status 1 if a plugin does not work.
    """
    from sdeplug.cli.tables import devices_table, failures_table, plugins_table, versions_table
    from sdeplug.cli.terminal import console

    screen = console()
    for table in (versions_table(), devices_table(), plugins_table()):
        screen.print(table)
    failures = failures_table()
    screen.print("Every plugin works." if failures is None else failures)
    return 0 if failures is None else 1


@commands.command()
@click.option("--out", default="demo", show_default=True, type=click.Path(path_type=Path),
              help="Folder for pictures and the page.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
def demo(out: Path, seed: int) -> None:
    """Run the main job; write pictures and a page.

    Real digits through a mixed pipeline, and why Langevin dynamics is annealed.
    """
    from sdeplug.cli.demo import run

    run(out, seed)


def _complain(message: str) -> None:
    click.echo(f"sdeplug: {' '.join(message.split())}", err=True)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"sdeplug: warning: {message}", err=True)
