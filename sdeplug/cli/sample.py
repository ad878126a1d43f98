"""The words of ``sdeplug sample``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.subject import guided
from sdeplug.cli.words import NAMED, Command, File, Name
from sdeplug.errors import ArgumentError


@click.command(cls=Command)
@click.option(
    "--pipeline", type=click.Path(path_type=Path), help="TOML or JSON file of a pipeline."
)
@click.option("--target", metavar="NAME", type=Name("targets"),
              help="Law with an exact score.  [default: core/eight-gaussians]")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Sample what `sdeplug train` learned, instead of a target.")  # fmt: skip
@click.option("--label", "labels", multiple=True, metavar="CLASS",
              help="Class of the samples of a model; may be repeated.  [default: any]")  # fmt: skip
@guided
@click.option("--sde", metavar=NAMED, type=Name("sdes"), help="Forward SDE.  [default: core/vp]")
@click.option("--solver", metavar=NAMED, type=Name("solvers"),
              help="Integrator.  [default: exponential/auto]")  # fmt: skip
@click.option("--corrector", metavar=NAMED, type=Name("solvers"),
              help="Corrector after each step.")  # fmt: skip
@click.option("--grid", metavar=NAMED, type=Name("grids"),
              help="Time grid of the steps.  [default: log-snr]")  # fmt: skip
@click.option("--steps", type=int,
              help="Steps of the grid, or of a solver that brings its own; of exponential/auto "
              "the evaluations.  [default: 100, or what the solver has]")  # fmt: skip
@click.option("--stochasticity", type=float,
              help="0: probability flow; 1: reverse SDE.  [default: 1.0]")  # fmt: skip
@click.option("--denoise/--no-denoise", default=None, help="Final jump to t = 0.  [default: yes]")
@click.option("-n", "--samples", default=1000, show_default=True, help="How many samples.")
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32",
              show_default=True)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Device, as torch names it.")
@click.option("--out", default="samples", show_default=True, type=File(".npz", ".png"),
              help="Write OUT.npz and OUT.png.")  # fmt: skip
def sample(
    pipeline: Path | None,
    target: str | None,
    model: Path | None,
    labels: tuple[str, ...],
    guidance: float | None,
    samples: int,
    seed: int,
    dtype: str,
    device: str,
    out: Path,
    **parts: object,
) -> None:
    """Sample a target or a trained model, by flags or a file.

    Flags describe one leg and a final denoising; a file (--pipeline) any number of legs.
    """
    given = {name: value for name, value in parts.items() if value is not None}
    if pipeline is not None and given:
        flags = ", ".join(f"--{name}" for name in given)
        raise ArgumentError("pipeline", str(pipeline), f"given without {flags}")
    from sdeplug.cli.work.aim import Subject
    from sdeplug.cli.work.drawn import Drawn
    from sdeplug.cli.work.place import Place
    from sdeplug.cli.work.sample import Parts, Request, run

    description = Parts(**given) if pipeline is None else pipeline  # type: ignore[arg-type]
    subject = Subject(target, model, labels, guidance)
    drawn = Drawn(samples, seed, Place(device, dtype), out)
    run(Request(description, subject, drawn))
