"""The words of ``sdeplug condition``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.subject import guided
from sdeplug.cli.words import NAMED, Command, File, Name

SOLVING = ("replacement", "ddrm", "smc")
"""Methods that go with the steps of a solver; all others are scores, those of plugins too."""


@click.command(cls=Command)
@click.argument("measured", type=click.Path(path_type=Path))
@click.option("--mask", type=click.Path(path_type=Path), metavar="FILE",
              help="Picture or Boolean .npy: white, or True, where MEASURED is known.")  # fmt: skip
@click.option("--matrix", type=click.Path(path_type=Path), metavar="FILE",
              help=".npy of a matrix: MEASURED is it times the flattened sample.")  # fmt: skip
@click.option("--grey", is_flag=True, help="MEASURED is the mean of the channels.")
@click.option("--downsample", type=int, metavar="N",
              help="MEASURED is the image, smaller by this factor.")  # fmt: skip
@click.option("--blur", type=float, metavar="STD",
              help="MEASURED is the image, blurred by a Gaussian.")  # fmt: skip
@click.option("--noise", "noise_std", default=0.0, show_default=True,
              help="Standard deviation of the noise in MEASURED, in [-1, 1].")  # fmt: skip
@click.option("--method", metavar="NAME", type=Name("scores", also=SOLVING), default="replacement",
              show_default=True, help="How: replacement, ddrm, smc, or one that `sdeplug list "
              "scores` shows for measurements.")  # fmt: skip
@click.option("--particles", type=int, metavar="N",
              help="Of smc: particles that samples are picked from.  [default: 256]")  # fmt: skip
@click.option("--journeys", type=click.IntRange(0), default=0, show_default=True,
              help="Times back into the noise and down again, after each step.")  # fmt: skip
@click.option("--target", metavar="NAME", type=Name("targets"),
              help="Law with an exact score.  [default: core/digits]")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path), metavar="FOLDER",
              help="What `sdeplug train` learned, instead of a target.")  # fmt: skip
@click.option("--label", "labels", multiple=True, metavar="CLASS",
              help="Class of the samples of a model; may be repeated.  [default: any]")  # fmt: skip
@guided
@click.option("--sde", metavar=NAMED, type=Name("sdes"), help="Forward SDE.  [default: core/vp]")
@click.option("--solver", metavar=NAMED, type=Name("solvers"),
              help="Integrator of single steps.  [default: exponential/ddim]")  # fmt: skip
@click.option("--steps", default=100, show_default=True, help="Steps, equal in log-SNR.")
@click.option("-n", "--samples", default=16, show_default=True, help="How many samples.")
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32",
              show_default=True)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Device, as torch names it.")
@click.option("--out", default="conditioned", show_default=True, type=File(".npz", ".png"),
              help="Write OUT.npz and OUT.png.")  # fmt: skip
def condition(
    measured: Path,
    target: str | None,
    model: Path | None,
    labels: tuple[str, ...],
    guidance: float | None,
    samples: int,
    seed: int,
    dtype: str,
    device: str,
    out: Path,
    **rest: object,
) -> None:
    """Samples that agree with what was measured: inpaint, colour, enlarge, deblur.

    MEASURED is a picture or a .npy file: the image with its holes (--mask), or what an operator
    has made of it. Give one of --mask, --matrix, --grey, --downsample and --blur.
    """
    from sdeplug.cli.work.aim import Subject
    from sdeplug.cli.work.condition import Asked, run
    from sdeplug.cli.work.drawn import Drawn
    from sdeplug.cli.work.place import Place

    target = target if model is not None else target or "core/digits"
    aim = Subject(target, model, labels, guidance)
    run(Asked(measured, aim, Drawn(samples, seed, Place(device, dtype), out), **rest))  # type: ignore[arg-type]
