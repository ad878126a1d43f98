"""The command line, as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import sdeplug as sp
from sdeplug.testing import check_solver

PLUGIN = """
from dataclasses import dataclass
import sdeplug as sp

@dataclass(frozen=True)
class Bad(sp.Integrator):
    claims = sp.Claims(order=1, evaluations=1)
    def integrate(self, reverse, x, t, s, run):
        {body}

@sp.hookimpl
def sdeplug_solvers():
    return {{"bad": Bad}}
"""


def load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@pytest.fixture
def bad_solver(monkeypatch):
    """Offer a solver ``bad/bad`` with the given body, for one test."""
    from types import ModuleType

    from sdeplug.registry import Registry, words

    def offer(body: str) -> None:
        module = ModuleType("bad")
        exec(PLUGIN.format(body=body), module.__dict__)
        mine = Registry()
        mine.register(module, "bad")
        monkeypatch.setattr(words, "registry", lambda: mine)

    return offer


def test_help_names_every_command(sdeplug):
    status, out, _ = sdeplug("--help")
    assert status == 0
    commands = "list train sample condition check compare new doctor demo"
    for command in commands.split():
        assert f"\n  {command} " in out
        assert sdeplug(command, "--help")[0] == 0


def test_python_m_sdeplug_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "sdeplug", "--version"], capture_output=True, text=True, check=True
    )
    assert "sdeplug" in done.stdout


@pytest.mark.parametrize("words", [["solvers"], ["list", "solvers"], ["list"]])
def test_list_shows_all_solvers_with_options_and_origin(sdeplug, words):
    status, out, _ = sdeplug(*words)
    assert status == 0
    for name in ("song/euler-maruyama", "song/langevin", "ode/rk4", "snr=0.16"):
        assert name in out
    assert "Failures" not in out


def test_list_finds_what_an_option_picks_from(sdeplug):
    status, out, _ = sdeplug("list", "solvers", "Krogstad")
    assert status == 0
    assert "exponential/exp-rk " in out
    assert "exponential/exp-rk3" not in out


def test_sample_writes_numbers_and_a_picture(sdeplug, tmp_path):
    status, out, _ = sdeplug("sample", "-n", 50, "--steps", 20, "--seed", 3)
    assert status == 0
    assert "why: an exact score" in out
    assert "21 score evaluations" in out
    file = load(tmp_path / "samples.npz")
    assert file["x"].shape == (50, 2)
    assert int(file["nfe"]) == 21
    assert (tmp_path / "samples.png").stat().st_size > 5000


def test_sample_is_what_the_same_pipeline_gives_in_code(sdeplug, tmp_path):
    status, _, _ = sdeplug(
        "sample", "-n", 7, "--sde", "ve:sigma_max=20", "--solver", "reverse-diffusion",
        "--corrector", "song/langevin:snr=0.1,steps=2", "--grid", "karras:rho=5", "--steps", 9,
        "--stochasticity", 0.5, "--no-denoise", "--seed", 4, "--dtype", "float64",
    )  # fmt: skip
    assert status == 0
    sde, data = sp.VESDE(sigma_max=20.0), sp.targets.eight_gaussians()
    by = sp.Corrected(
        sp.solver("song/reverse-diffusion"), sp.solver("song/langevin", snr=0.1, steps=2)
    )
    legs = (sp.Leg(sde.eps, sp.OnGrid(by, sp.Karras(9, rho=5.0))),)
    pipeline = sp.Pipeline(sp.ReverseSDE(sde, data.score(sde), 0.5), legs)
    file = load(tmp_path / "samples.npz")
    wanted = pipeline.sample((7, 2), seed=4, dtype=torch.float64)
    np.testing.assert_array_equal(file["x"], wanted.x.numpy())
    assert sp.Pipeline.from_spec(json.loads(str(file["pipeline"])), data.score) == pipeline


def test_sample_from_a_file_gives_what_its_spec_says(sdeplug, tmp_path):
    sde, data = sp.VPSDE(), sp.targets.two_modes()
    legs = (sp.Leg(0.3, sp.OnGrid(sp.solver("ode/heun"), sp.Uniform(5))),)
    pipeline = sp.Pipeline(sp.ReverseSDE(sde, data.score(sde)), legs)
    sp.write_spec(pipeline.to_spec(), tmp_path / "pipeline.toml")
    status, _, _ = sdeplug(
        "sample", "--pipeline", "pipeline.toml", "--target", "two-modes", "-n", 6
    )
    assert status == 0
    np.testing.assert_array_equal(
        load(tmp_path / "samples.npz")["x"], pipeline.sample((6, 2)).x.numpy()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "frobnicate"),
        (["sample", "--frob"], "--frob"),
        (["sample", "--solver", "ode/hune"], "Did you mean 'ode/heun'"),
        (["sample", "--solver", "song/langevin"], "an integrator"),
        (["sample", "--solver", "ode/heun", "--corrector", "ode/heun"], "corrector"),
        (["sample", "--solver", "ode/adams-bashforth:order=9"], "at most 4"),
        (["sample", "--solver", "ode/adams-bashforth:order=two"], "int"),
        (["sample", "--solver", "ode/heun:speed=3"], "speed"),
        (["sample", "--solver", "ode/heun:speed"], "OPTION=VALUE"),
        (["sample", "--solver", "ode/heun", "--corrector", "song/langevin:snr=-1"], "above 0"),
        (["sample", "--steps", "0"], "at least 1"),
        (["sample", "--grid", "uniform"], "brings its own grid"),
        (["sample", "--steps", "many"], "many"),
        (["sample", "--solver", "ode/heun", "--grid", "log"], "log-snr"),
        (["sample", "--sde", "vq"], "vp"),
        (["sample", "--sde", "ve:sigma_min=60"], "sigma_min"),
        (["sample", "--target", "nine-gaussians"], "eight-gaussians"),
        (["sample", "--stochasticity", "-1"], "stochasticity"),
        (["sample", "-n", "0"], "at least 1"),
        (["sample", "--seed", "-1"], "seed"),
        (["sample", "--device", "abacus"], "doctor"),
        (["sample", "--out", "nowhere/x"], "nowhere"),
        (["sample", "--pipeline", "gone.toml"], "gone.toml"),
        (["sample", "--pipeline", "gone.toml", "--steps", "3"], "--steps"),
        (["check", "song/langevine"], "song/langevin"),
        (["new", "Bad Name"], "lower-case"),
    ],
)
def test_wrong_input_gives_one_line_and_status_2(sdeplug, words, said):
    status, _, err = sdeplug(*words)
    assert status == 2
    assert err.startswith("sdeplug: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_run_that_diverges_saves_the_last_finite_state(sdeplug, bad_solver, tmp_path):
    bad_solver("return x / 0.0 if s < 0.5 else x.clone()")
    status, _, err = sdeplug("sample", "--solver", "bad/bad", "-n", 4, "--grid", "uniform")
    assert status == 1
    assert "Bad()" in err
    assert "not finite" in err
    last = load(tmp_path / "samples-last-finite.npz")
    assert last["x"].shape == (4, 2)
    assert np.isfinite(last["x"]).all()
    assert float(last["t"]) >= 0.5


def test_check_passes_a_good_solver_and_fails_a_bad_one(sdeplug, bad_solver):
    assert sdeplug("check", "ode/euler", "--fast")[0] == 0
    bad_solver("return x + (s - t) * 2.0 * reverse.flow(x, t)")
    status, out, _ = sdeplug("check", "bad/bad", "--fast")
    assert status == 1
    assert "check_marginals" in out
    assert "FAILED" in out


def test_report_prints_what_every_check_said():
    report = check_solver(sp.solver("ode/euler"))
    assert report.passed
    assert "check_marginals" in str(report)
    assert "all promises kept" in str(report)


def test_new_writes_four_files_and_never_overwrites(sdeplug, tmp_path):
    status, out, _ = sdeplug("new", "swirl")
    assert status == 0
    assert len(list((tmp_path / "sdeplug-swirl").iterdir())) == 4
    assert "pip install" in out
    assert sdeplug("new", "swirl")[0] == 2


def test_doctor_shows_versions_devices_and_plugins(sdeplug):
    status, out, _ = sdeplug("doctor")
    assert status == 0
    for word in ("torch", "torchsde", "cpu", "song", "Every plugin works"):
        assert word in out
