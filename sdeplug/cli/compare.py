"""The words of ``sdeplug compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sdeplug.cli.subject import names_data
from sdeplug.cli.words import NAMED, Command, File, Name, Stopped


@click.command(cls=Command)
@click.argument("solvers", metavar=f"[{NAMED}]...", nargs=-1, type=Name("solvers"))
@names_data
@click.option("--nfe", metavar="N,...",
              help="Budgets of score evaluations.  [default: 10,20,50,100; of a model "
              "5,10,20]")  # fmt: skip
@click.option("--seeds", default=3, show_default=True, help="How many repetitions.")
@click.option("--metric", "metrics", multiple=True, metavar=NAMED, type=Name("metrics"),
              help="Metric, once for each.  [default: those that suit the data]")  # fmt: skip
@click.option("--grid", "grids", multiple=True, metavar=NAMED, type=Name("grids"),
              help="Grid of the solvers with fixed steps; of several each gets its best.  "
              "[default: log-snr]")  # fmt: skip
@click.option("--samples", "-n", type=int, help="Samples in a run.  [default: 20000; 2000 images]")
@click.option("--score-error", "score_errors", metavar="X,...",
              help="Sizes of a smooth error of the score.  [default: 0,0.1; of a model "
              "0]")  # fmt: skip
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
    model: Path | None,
    labels: tuple[str, ...],
    target: str | None,
    sde: str | None,
    data: Path | None,
    plot: Path | None,
    html: Path | None,
    json: Path | None,
    jobs: int,
    resume: Path | None,
    **request: Any,
) -> None:
    """Compare solvers at equal budgets of score evaluations.

    With exact scores and with perturbed ones; or with --model on a network and data that it has
    not learned, beside the error to its flow.  Without a solver: some that sdeplug brings.
    """
    try:
        from sdeplug.cli.work.aim import Subject
        from sdeplug.cli.work.compare import Output, Request, run
        from sdeplug.cli.work.held import Scene

        scene = Scene(Subject(target, model, labels), data, sde)
        run(Request(scene, **request), Output(plot, html, json, jobs, resume))
    except KeyboardInterrupt:
        raise Stopped.kept(resume) from None
