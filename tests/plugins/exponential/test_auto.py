"""``auto``: its policy for exact scores and for others, and the size of the data that it finds."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from common import GaussianScore, normal
from exponential.unknown import BUDGETS, Unknown, loud

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    LogSNR,
    OnGrid,
    PairingError,
    ReverseSDE,
    sample,
    solver,
    targets,
)
from sdeplug.compare import PerturbedScore
from sdeplug.targets import GaussianMixture
from sdeplug.testing import exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import gaussian, gaussian_score
from sdeplug_exponential import POLICY, Adams, Auto

close = torch.testing.assert_close
OF_TWO = ReverseSDE(VPSDE(), lambda x, t: torch.nn.functional.linear(x, -torch.eye(2)))


def error(by, sde, level=1.0):
    """Root mean square relative error of the exact law at eps."""
    return float(widths(by, sde, 1.0, level).square().mean().sqrt())


def widths(by, sde, scale, level=1.0):
    """Relative errors of the standard deviations at eps, for data of some size."""
    spectrum = tuple(each * scale**2 for each in (1e-4, 0.01, 0.25, 1.0, 4.0))
    reverse = ReverseSDE(sde, gaussian_score(sde, spectrum), level)
    start, end = (marginal_law(gaussian(spectrum), sde, t) for t in (sde.T, sde.eps))
    law = exact_spectrum(lambda x, run: by.integrate(reverse, x, sde.T, sde.eps, run), start)
    return relative_error(law, end).reshape(2, -1)[0]


# The policy


def test_the_policy_covers_every_budget():
    for wrong, quiet in product((False, True, None), (False, True)):
        rows = [row for row in POLICY if row.fits(1, wrong, quiet)]
        assert [row.most for row in rows] == sorted(row.most for row in rows)
        assert rows[-1].most == math.inf


def test_the_score_decides_unless_the_option_does():
    """A score that says nothing is that of a network; only 0 is exact."""
    sde = VPSDE()
    exact = GaussianMixture((1.0,), torch.zeros(1, 2), std=1.0).score(sde)
    for nfe in BUDGETS:
        for score, option, wrong in (
            (exact, None, False),
            (Unknown(exact), None, None),
            (PerturbedScore(exact, sde), None, True),
            (exact, 0.1, True),
            (Unknown(exact), 0.0, False),
        ):
            choice = Auto(nfe, option).choice(ReverseSDE(sde, score))
            assert choice.row.wrong is wrong
            quiet = Auto(nfe, option).choice(ReverseSDE(sde, score, 0.0)).row
            for row, still in ((choice.row, False), (quiet, True)):
                assert row is next(each for each in POLICY if each.fits(nfe, wrong, still))
                assert row.quiet in (None, still)
        assert Auto(nfe).choice(sde).row.wrong is None


def test_auto_promises_what_it_picks():
    for nfe in BUDGETS:
        for by in (Auto(nfe), Auto(nfe, 0.0), Auto(nfe, 0.1)):
            choice = by.choice(VPSDE())
            assert by.claims.order == choice.claims.order == choice.solver.claims.order
            assert by.claims.stochastic == choice.claims.stochastic
            assert by.claims.evaluations == choice.claims.evaluations == nfe
            assert by.claims.steps == "nfe"


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize(("nfe", "limit"), [(8, 0.04), (16, 2e-3), (32, 1e-4), (64, 2e-5)])
def test_auto_is_more_accurate_than_named_solvers_of_its_family(sde, nfe, limit):
    auto = error(Auto(nfe, 0.0), sde)
    assert auto < limit
    for name in ("ddim", "dpmpp-2m", "dpmpp-3m", "unipc"):
        assert auto < error(OnGrid(solver(f"exponential/{name}"), LogSNR(nfe)), sde)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=["vp", "ve"])
def test_more_evaluations_come_nearer_to_the_flow_of_a_network(sde):
    """No line of the policy is worse than the one before it, where the one ends."""
    reverse = ReverseSDE(sde, Unknown(targets.eight_gaussians().score(sde)), 0.0)
    x = sde.prior_std * normal(128, 2)
    flow = sample(reverse, x=x, by=OnGrid(Adams(4, 4), LogSNR(60))).x
    budgets = (4, 5, 7, 9, 11, 15, 24)
    ends = [sample(reverse, x=x, by=Auto(nfe)).x for nfe in budgets]
    errors = [float((end - flow).square().mean().sqrt()) for end in ends]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * errors[0]


def test_auto_scales_the_stochasticity_of_the_reverse_sde():
    sde, x = VPSDE(), normal(5, 2)

    def ends(level):
        reverse = ReverseSDE(sde, GaussianScore(sde), level)
        return Auto(32, 0.1).integrate(reverse, x, 1.0, 1e-3, loud())

    close(ends(0.5), ends(lambda t: 0.5), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(ends(0.5), ends(1.0))
    close(ends(0.0), ends(lambda t: 0.0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 30.0])
@pytest.mark.parametrize(("nfe", "wrong"), [(8, 0.0), (16, 0.0), (6, 0.1), (16, 0.1)])
def test_auto_knows_the_size_of_the_data(nfe, wrong, scale):
    """In other units data and noise are the same, and so is what they end as."""
    sde = VESDE(0.01 * scale, 50.0 * scale)
    one, other = (
        widths(Auto(nfe, wrong), VESDE(), 1.0),
        widths(Auto(nfe, wrong, data_std=scale), sde, scale),
    )
    close(other, one, rtol=1e-6, atol=1e-9)
    assert (widths(Auto(nfe, wrong), sde, scale) - one).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("of", "like", "kind", "says"),
    [
        (torch.zeros(20, 8), None, PairingError, "of = Tensor: must be a LinearSDE"),
        (OF_TWO, (4, 2), ArgumentError, r"like = \(4, 2\): must be a floating-point tensor"),
        (OF_TWO, torch.zeros(4, 2).int(), ArgumentError, r"like = '\(4, 2\) torch.int32'"),
        (OF_TWO, torch.zeros(0, 2), ArgumentError, "with one row at least"),
        (OF_TWO, torch.zeros(64, 3), PairingError, r"x of shape \(3,\): must be of the shape"),
    ],
)
def test_a_choice_says_what_it_was_not_given(of, like, kind, says):
    with pytest.raises(kind, match=says):
        Auto(8).choice(of, like)


@pytest.mark.parametrize("option", ["score_error", "data_std"])
def test_what_is_endless_is_no_size(option):
    with pytest.raises(ArgumentError, match=f"{option} = inf: .* and finite"):
        Auto(8, **{option: math.inf})
