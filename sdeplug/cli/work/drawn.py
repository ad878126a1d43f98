"""Samples of a pipeline, drawn and written, for every command that draws some."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from sdeplug.cli.work.aim import Aim
from sdeplug.cli.work.files import write
from sdeplug.cli.work.place import Place
from sdeplug.errors import MissingExtraError, RunError
from sdeplug.observers import Progress
from sdeplug.pipeline import Pipeline, Samples


@dataclass(frozen=True)
class Drawn:
    """How many samples to draw, and where to put them.

    Attributes:
        samples: how many.
        seed: seed of the noise.
        place: device and dtype of the samples.
        out: path without ending; OUT.npz and OUT.png are written.
    """

    samples: int
    seed: int
    place: Place
    out: Path

    def draw(self, pipeline: Pipeline, aim: Aim) -> Samples:
        """The samples; where there is a terminal, how far they are.

        Raises:
            RunError: for a run that diverges, whose last finite state is written to
                OUT-last-finite.npz.
        """
        looked_on = sys.stderr.isatty()
        with Progress(to=pipeline.legs[-1].to) as bar:
            try:
                return pipeline.sample(
                    (self.samples, *aim.shape),
                    seed=self.seed,
                    dtype=self.place.torch_dtype,
                    device=self.place.device,
                    observers=(bar,) if looked_on else (),
                )
            except RunError as error:
                if error.last is not None:
                    times = error.last_t if error.times is None else error.times.cpu().numpy()
                    last: dict[str, Any] = {"x": error.last.cpu().numpy(), "t": np.array(times)}
                    write(self._beside("-last-finite.npz"), lambda path: np.savez(path, **last))
                raise

    def keep(self, samples: Samples, aim: Aim, more: Mapping[str, Any]) -> None:
        """Write OUT.npz: the samples, what they cost, and more.

        Raises:
            UnwrittenError: for a file that cannot be written: the samples are then in another.
        """
        cost = {"nfe": samples.nfe, "seconds": samples.seconds, "seed": self.seed}
        arrays: dict[str, Any] = {**aim.arrays(samples.x), "t": samples.t, **cost, **more}
        write(self._beside(".npz"), lambda path: np.savez(path, **arrays))

    def show(self, samples: Samples, aim: Aim) -> None:
        """Write OUT.png, or say why there is none."""
        try:
            from sdeplug.pictures import save
        except MissingExtraError as error:
            click.echo(f"no picture: {error}", err=True)
            return
        figure = aim.picture(samples.x)
        write(self._beside(".png"), lambda path: save(figure, path))

    def _beside(self, ending: str) -> Path:
        return self.out.with_name(self.out.name + ending)
