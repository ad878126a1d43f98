"""The words of ``sdeplug likelihood``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.words import NAMED, Command, File, Name
from sdeplug.errors import ArgumentError


@click.command(cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--model", "folder", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder of a trained network, with its SDE.")  # fmt: skip
@click.option("--target", metavar="NAME", type=Name("targets"),
              help="Law whose score is exact.  [default: core/eight-gaussians]")  # fmt: skip
@click.option("--sde", metavar=NAMED, type=Name("sdes"),
              help="Forward SDE of a target.  [default: core/vp]")  # fmt: skip
@click.option("--solver", metavar=NAMED, type=Name("solvers"),
              help="Flow integrator.  [default: adaptive/row-tsit5 at 1e-6]")  # fmt: skip
@click.option("--probes", type=int,
              help="Random vectors that estimate the divergence.  [default: exact]")  # fmt: skip
@click.option("--levels", type=int,
              help="Data are whole numbers below this: give bits, too.")  # fmt: skip
@click.option("--time", "t", type=float, help="Time of the density.  [default: eps of the SDE]")
@click.option("--batch", default=256, show_default=True, help="Rows at a time.")
@click.option("--seed", default=0, show_default=True, help="Seed of probes and dequantisation.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32",
              show_default=True)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Device, as torch names it.")
@click.option("--out", default="likelihood", show_default=True, type=File(".npz"),
              help="Write OUT.npz.")  # fmt: skip
def likelihood(
    data: Path,
    folder: Path | None,
    target: str | None,
    sde: str | None,
    dtype: str,
    device: str,
    out: Path,
    **settings: object,
) -> None:
    """How likely are the rows of a file of data?

    DATA is what `sdeplug train` takes: a .npy or .npz file, one row for each sample, a table, or a
    folder of images, in the order of their names.
    """
    for name, value in (("target", target), ("sde", sde)):
        if folder is not None and value is not None:
            raise ArgumentError(name, value, "left out: a model has its score and its SDE")
    from sdeplug.cli.work.likelihood import Request, Settings, run
    from sdeplug.cli.work.place import Place

    source = folder or (target or "core/eight-gaussians", sde or "core/vp")
    run(Request(data, source, Settings(**settings), Place(device, dtype), out))  # type: ignore[arg-type]
