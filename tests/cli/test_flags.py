"""A flag means the same everywhere, or is refused; messages use the words that were typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from sdeplug.cli.work.place import Place
from sdeplug.cli.work.tables import table
from sdeplug.compare import Sheet
from sdeplug.errors import ArgumentError
from sdeplug.registry import named, named_grid, split

BRACKETS = 'pip install "sdeplug[diffusers]"'


@pytest.mark.parametrize("name", ["exponential/auto", "auto"])
def test_steps_mean_the_same_however_the_solver_is_named(sdeplug, tmp_path, name):
    drawn = []
    for words in ([], ["--solver", name], ["--solver", f"{name}:data_std=0.5"]):
        status, out, _ = sdeplug("sample", "-n", 5, "--steps", 12, *words, "--out", len(drawn))
        assert status == 0
        assert "13 score evaluations" in out
        with np.load(tmp_path / f"{len(drawn)}.npz") as file:
            drawn.append(file["x"])
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_steps_are_those_of_a_solver_that_brings_its_grid(sdeplug, tmp_path):
    words = ["sample", "-n", 5, "--no-denoise", "--sde", "edm"]
    assert sdeplug(*words, "--solver", "edm-heun", "--steps", 6, "--out", "a")[0] == 0
    assert sdeplug(*words, "--solver", "edm-heun:steps=6", "--out", "b")[0] == 0
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        np.testing.assert_array_equal(a["x"], b["x"])


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["--grid", "karras"], "--grid"),
        (["--corrector", "song/langevin"], "--corrector"),
        (["--solver", "exponential/auto", "--grid", "karras"], "--grid"),
        (["--solver", "exponential/auto:nfe=9", "--steps", "9"], "--steps"),
        (["--solver", "exponential/edm-heun:steps=9", "--steps", "9"], "--steps"),
        (["--solver", "adaptive/row-dopri5", "--steps", "9"], "--steps"),
        (["--solver", "adaptive/row-dopri5", "--grid", "karras"], "--grid"),
        (["--solver", "ode/heun", "--stochasticity", "0.5"], "--stochasticity"),
        (["--solver", "ode/heun", "--grid", "karras:steps=4", "--steps", "9"], "--steps"),
        (["--solver", "ode/heun", "--grid", "at:points=0.5", "--steps", "9"], "--steps"),
    ],
)
def test_a_flag_without_effect_is_refused(sdeplug, words, flag):
    status, _, err = sdeplug("sample", *words)
    assert status == 2
    assert err.startswith(f"sdeplug: {flag} = ")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["ode/heun", "--stochasticity", "0.5"], "--stochasticity"),
        (["adaptive/row-dopri5", "--grid", "karras"], "--grid"),
        (["ode/heun", "--grid", "karras:steps=4"], "--grid"),
    ],
)
def test_compare_refuses_them_too(sdeplug, words, flag):
    status, _, err = sdeplug("compare", *words)
    assert status == 2
    assert err.startswith(f"sdeplug: {flag} = ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample", "-n", "0"], "-n = 0:"),
        (["sample", "-n0"], "-n = 0:"),
        (["sample", "--samples", "0"], "--samples = 0:"),
        (["sample", "--samples=0"], "--samples = 0:"),
        (["sample", "--steps", "0"], "--steps = 0:"),
        (["sample", "--solver", "ode/heun", "--steps", "0"], "--steps = 0:"),
        (["sample", "--seed", "-1"], "--seed = -1:"),
        (["sample", "--solver", "song/ancestral", "--stochasticity", "-1"], "--stochasticity = -1"),
        (["sample", "--pipeline", "gone.toml"], "--pipeline = 'gone.toml':"),
        (["sample", "--solver", "torchdiffeq/fixed-rk4:steps=0"],
         "steps of torchdiffeq/fixed-rk4 = 0:"),
        (["sample", "--sde", "ve:sigma_min=-1"], "sigma_min of ve = -1"),
        (["compare", "--score-error", "-1"], "--score-error = "),
        (["compare", "--nfe", "x"], "--nfe = "),
        (["compare", "--seeds", "0"], "--seeds = "),
        (["compare", "song/langevin"], "SOLVERS = 'song/langevin'"),
        (["new", "Bad Name"], "NAME = 'Bad Name'"),
    ],
)  # fmt: skip
def test_messages_use_what_was_typed(sdeplug, words, said):
    status, _, err = sdeplug(*words)
    assert status == 2
    assert err.startswith(f"sdeplug: {said}")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("sample", "eight-gaussians"), "sdeplug sample"),
        (("sample", "--steps", "many"), "sdeplug sample"),
        (("check",), "sdeplug check"),
        (("smaple",), "sdeplug"),
    ],
)
def test_words_that_a_command_does_not_take_are_told_where_to_read_on(sdeplug, words, command):
    status, _, err = sdeplug(*words)
    assert status == 2
    assert err.strip().endswith(f"`{command} --help` lists what it takes.")
    assert ".. `" not in err


def test_an_option_that_is_given_twice_is_refused(sdeplug):
    status, _, err = sdeplug("sample", "--solver", "ode/adams-bashforth:order=2,order=3")
    assert status == 2
    assert "'order' is twice" in err


def test_a_value_may_be_a_list():
    assert split("at:points=0.5,0.1") == ("at", {"points": "0.5,0.1"})
    assert named_grid("at:points=0.5,0.1", None).points == (0.5, 0.1)
    assert named("sdes", "core/ve:sigma_min=0.1,eps=0.01").eps == 0.01


@pytest.mark.parametrize("count", [10**11, 10**30])
@pytest.mark.parametrize("command", ["sample", "compare"])
def test_more_samples_than_fit_are_refused_in_one_line(sdeplug, count, command):
    status, _, err = sdeplug(command, "-n", count)
    assert status == 2
    assert err.startswith(f"sdeplug: -n = {count}: must be at most")
    assert "GiB of memory" in err


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "--solver", "ode/heun", "--steps", 10**14],
        ["sample", "--solver", f"exponential/auto:nfe={10**30}"],
        ["sample", "--seed", 10**30],
        ["sample", "--stochasticity", "1e400", "--solver", "song/ancestral"],
        ["sample", "--stochasticity", "nan", "--solver", "song/ancestral"],
        ["sample", "--sde", "ve:sigma_max=1e400"],
        ["compare", "--seeds", 10**12],
        ["compare", "--jobs", 10**12],
        ["compare", "ode/heun", "--seeds", 1, "-n", 10, "--nfe", 10**14],
        ["sample", "--out", "x" * 5000],
        ["sample", "--out", "a\0b"],
        ["sample", "--pipeline", "a\0b.toml"],
        ["compare", "--resume", "a\0b"],
        ["new", "x" * 500],
    ],
)
def test_no_traceback_for_any_input(sdeplug, words):
    status, _, err = sdeplug(*words)
    assert status in (1, 2)
    assert err.startswith("sdeplug: ")
    assert err.count("\n") == 1
    assert len(err) < 600 or "xxx" in err


@pytest.mark.parametrize("device", ["meta", "cuda:77", "abacus", "-1", ""])
def test_a_device_that_does_not_compute_is_refused(sdeplug, device):
    status, _, err = sdeplug("sample", "--device", device)
    assert status == 2
    assert err.startswith("sdeplug: --device = ")
    assert "doctor" in err


def test_room_is_asked_for_by_the_size_of_a_sample():
    Place().demand_room(10**6, (2,))
    with pytest.raises(ArgumentError, match="samples = 1000000"):
        Place("cpu", "float64").demand_room(10**6, (10**9,))


def test_an_unforeseen_error_is_one_line_with_its_place(sdeplug, monkeypatch, capsys):
    def broken(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("sdeplug.cli.work.list.run", broken)
    status, _, err = sdeplug("list")
    assert status == 1
    assert err.startswith("sdeplug: KeyError in test_flags.py, line ")
    assert err.count("\n") == 1
    monkeypatch.setenv("SDEPLUG_TRACEBACK", "1")
    assert "Traceback" in sdeplug("list")[2]


def test_square_brackets_are_text():
    screen = Console(width=120, file=None)
    with screen.capture() as shown:
        plain = table(BRACKETS, "name")
        plain.add_row(BRACKETS, style="dim")
        screen.print(plain)
        screen.print(Sheet(BRACKETS, (BRACKETS,), ((BRACKETS,),)))
    assert shown.get().count(BRACKETS) == 5


def test_the_list_is_json_for_programs(sdeplug):
    status, out, _ = sdeplug("list", "solvers", "edm-heun", "--json")
    assert status == 0
    (found,) = json.loads(out, parse_constant=pytest.fail)
    assert found["name"] == "exponential/edm-heun"
    assert found["role"] == "integrator"
    options = {each["name"]: each for each in found["options"]}
    assert options["steps"]["default"] == 18
    assert options["high"]["default"] == "inf"


@pytest.mark.parametrize("kind", ["solvers", "sdes", "targets", "metrics", "grids"])
def test_every_kind_has_a_list(sdeplug, kind):
    status, out, _ = sdeplug("list", kind, "--json")
    assert status == 0
    found = json.loads(out)
    assert {each["kind"] for each in found} == {kind}
    assert all(each["what"] for each in found)


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["list", "solvrs"], "'solvers'"),
        (["list", "solvrs", "heun"], "'solvers'"),
        (["list", "solvers", "hune"], "heun'"),
        (["list", "metrics", "sliced-w3"], "'core/sliced-w2'"),
        (["sample", "--target", "nine-gaussian"], "'core/eight-gaussians'"),
        (["sample", "--sde", "cosin"], "'core/cosine'"),
        (["sample", "--sde", "qq"], "core/cosine"),
        (["sample", "--solver", "ode/heun", "--grid", "karas"], "'core/karras'"),
        (["compare", "--metric", "frechett"], "'core/frechet'"),
        (["check", "hune"], "heun'"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(sdeplug, words, near):
    status, _, err = sdeplug(*words)
    assert status == 2
    assert near in err
    assert len(err) < 300


def test_the_words_of_a_description_are_found_too(sdeplug):
    status, out, _ = sdeplug("list", "grids", "log-snr")
    assert status == 0
    assert "focus" not in out
    status, out, _ = sdeplug("list", "grids", "denser")
    assert status == 0
    assert "quadratic" in out


@pytest.mark.thorough
def test_a_command_that_is_not_looked_at_writes_nothing_to_standard_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sdeplug", "sample", "-n", "2", "--steps", "8"],
        cwd=tmp_path, capture_output=True, text=True, check=True, env=dict(os.environ),
    )  # fmt: skip
    assert done.stderr == ""
