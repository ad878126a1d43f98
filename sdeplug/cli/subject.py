"""The flags that name a network and its data, the same in all commands that look at one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sdeplug.cli.words import NAMED, Name

_SUBJECT = (
    click.option("--model", type=click.Path(path_type=Path), metavar="FOLDER",
                 help="A network: what `sdeplug train` wrote; with --data networks.save, too."),
    click.option("--label", "labels", multiple=True, metavar="CLASS",
                 help="Class that a network with classes is asked for.  [default: any]"),
    click.option("--target", metavar="NAME", type=Name("targets"),
                 help="Law with an exact score, instead.  [default: core/eight-gaussians]"),
    click.option("--sde", metavar=NAMED, type=Name("sdes"),
                 help="Forward SDE of a target.  [default: core/vp]"),
)  # fmt: skip
_DATA = click.option(
    "--data", type=click.Path(path_type=Path), metavar="FILE",
    help="Data for the network, as `sdeplug train` takes them; rows that it learned are left out.",
)  # fmt: skip
guided = click.option(
    "--guidance", type=float, metavar="SCALE",
    help="How much more a class counts than all data, of a model: 1 is the class as it is, 2 twice "
    "as far.  [default: 1]",
)  # fmt: skip
on_device = click.option(
    "--device", default="cpu", show_default=True, help="Device, as torch names it."
)

Command = Callable[..., Any]


def names_network(command: Command) -> Command:
    """With --model, --label, --target and --sde."""
    for each in reversed(_SUBJECT):
        command = each(command)
    return command


def names_data(command: Command) -> Command:
    """With --data as well."""
    return _DATA(names_network(command))
