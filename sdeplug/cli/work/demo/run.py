"""The main job: a network learns real digits, and exact scores show what samplers do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from sdeplug.cli.work.demo import drawing, exact, judging
from sdeplug.cli.work.demo.page import Chapter, Section, page
from sdeplug.cli.work.demo.study import Study, digit_rows
from sdeplug.cli.work.small import Settings, divided, fit
from sdeplug.cli.work.watch import watcher
from sdeplug.errors import ArgumentError
from sdeplug.networks import load

SETTINGS = Settings(steps=3000, batch=64, width=32, held_out=0.25)
_LEARNED = (
    "A network learns three quarters of the real digits of scikit-learn, and never sees the "
    "others; all that is said of it is measured on these."
)
_EXACT = "The score is exact in what follows, so that what is seen is due to the sampler alone."


def run(folder: Path, seed: int = 0, settings: Settings = SETTINGS) -> None:
    """Run the experiments; write their pictures and ``index.html`` to a folder.

    Args:
        folder: where pictures, page and network go; a training that is there goes on.
        seed: decides all randomness.
        settings: how the network is trained; its seed is the other one.

    Raises:
        ArgumentError: if the folder is a file, or its network one of other settings.
        MissingExtraError: without scikit-learn, matplotlib or accelerate.
    """
    if folder.exists() and not folder.is_dir():
        raise ArgumentError("out", str(folder), "a folder")
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    chapters = (
        Chapter("A network", _LEARNED, _told(learned(folder, seed, settings))),
        Chapter("Exact scores", _EXACT, _told(each(folder, seed) for each in exact.EXPERIMENTS)),
    )
    text = page(chapters, seed, time.perf_counter() - begin)
    (folder / "index.html").write_text(text, encoding="utf-8")
    click.echo(f"wrote {folder / 'index.html'}")


def learned(folder: Path, seed: int, settings: Settings) -> Iterator[Section]:
    """Train a network on digits, then draw, judge and show."""
    begin = time.perf_counter()
    data = divided(digit_rows(), settings)
    network = folder / "network"
    trained = fit(data, settings, network, (watcher("learning digits"),))
    seconds = time.perf_counter() - begin
    study = Study(data, load(network), seed)
    yield judging.learning(study, trained.history, seconds, folder)
    drawn = drawing.draw(study)
    yield drawing.by_four_samplers(drawn, folder)
    yield judging.distances(study, drawn, folder)
    yield judging.likelihood(study, folder)
    yield judging.memory(study, drawn, folder)
    yield drawing.by_class(study, folder)
    yield drawing.completed(study, folder)


def _told(sections: Iterator[Section]) -> list[Section]:
    """The sections, each told on the screen as soon as it is there."""
    found = []
    for section in sections:
        click.echo(f"{section.title}: {section.cost}")
        click.echo(f"  {section.seen}")
        found.append(section)
    return found
