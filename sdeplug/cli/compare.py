"""The words of ``sdeplug compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sdeplug.cli.words import NAMED, Command, File, Name, Stopped


@click.command(cls=Command)
@click.argument("solvers", metavar=f"[{NAMED}]...", nargs=-1, type=Name("solvers"))
@click.option("--target", default="core/eight-gaussians", show_default=True, metavar="NAME",
              type=Name("targets"), help="Distribution to sample; its score is exact.")  # fmt: skip
@click.option("--sde", default="core/vp", show_default=True, metavar=NAMED, type=Name("sdes"),
              help="Forward SDE.")  # fmt: skip
@click.option("--nfe", default="10,20,50,100", show_default=True, metavar="N,...",
              help="Budgets of score evaluations.")  # fmt: skip
@click.option("--seeds", default=3, show_default=True, help="How many repetitions.")
@click.option("--metric", "metrics", multiple=True, metavar=NAMED, type=Name("metrics"),
              help="Metric, once for each.  [default: those that suit the target]")  # fmt: skip
@click.option("--grid", metavar=NAMED, type=Name("grids"),
              help="Grid of the solvers with fixed steps.  [default: log-snr]")  # fmt: skip
@click.option("--samples", "-n", type=int, help="Samples in a run.  [default: 20000; 2000 images]")
@click.option("--score-error", "score_errors", default="0,0.1", show_default=True, metavar="X,...",
              help="Sizes of a smooth error of the score.")  # fmt: skip
@click.option("--stochasticity", metavar="L,...",
              help="A stochastic solver runs at each.  [default: 1]")  # fmt: skip
@click.option("--plot", type=File(), metavar="FILE", help="Draw error against cost.")
@click.option("--html", type=File(), metavar="FILE",
              help="Write a page that needs no other file.")  # fmt: skip
@click.option("--json", type=File(), metavar="FILE", help="Write everything as JSON.")
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
    try:
        from sdeplug.cli.work.compare import Output, Request, run

        run(Request(**request), Output(plot, html, json, jobs, resume))
    except KeyboardInterrupt:
        raise Stopped.kept(resume) from None
