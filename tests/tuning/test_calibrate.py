"""A solver fitted to a network: it meets the flow, belongs to that network, and is plain data."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice

import pytest
import torch
from tuning.fitted import QUICK, RING, SDE, normal, on_ring, reverse_of

from sdeplug import (
    VESDE,
    ArgumentError,
    Bound,
    FromNoise,
    Karras,
    Leg,
    LogSNR,
    NonFiniteError,
    OnGrid,
    PairingError,
    Pipeline,
    ReverseSDE,
    calibrate,
    sample,
    solver,
    targets,
)
from sdeplug.tuning import Fitting, gits
from sdeplug.tuning.refine import Pairs, best_refined, refined
from sdeplug.tuning.rule import Rule
from sdeplug.tuning.walk import Held, ratio_at, walk

ELLIPSE = targets.Gaussian((0.3, -0.5), ((1.0, 0.0), (0.0, 0.09)), std=0.0)
FINE = OnGrid(solver("dpmpp-2m"), LogSNR(30))


def test_sample_takes_it_as_the_whole_run_and_denoises_where_it_ends_above_the_data():
    reverse, by = reverse_of(RING), on_ring()
    drawn = sample(reverse, (5, 2), by, seed=3)
    assert drawn.nfe == 3
    wanted = Pipeline(reverse, Leg(0.0, by)).sample((5, 2), seed=3)
    assert torch.equal(drawn.x, wanted.x)
    above = calibrate(reverse, 3, x=normal(6), fitting=replace(QUICK, to=0.05))
    assert above.ends_at == 0.05
    assert sample(reverse, (5, 2), above, seed=3).nfe == 4


@pytest.mark.parametrize(
    ("sde", "analytic", "to"),
    [(SDE, True, 0.0), (SDE, False, 0.05), (VESDE(), False, 0.0), (VESDE(), True, 0.05)],
    ids=["vp analytic", "vp part", "ve", "ve analytic part"],
)
def test_three_evaluations_are_the_flow_where_it_is_linear(sde, analytic, to):
    """Two variances: the flow is a scale in each of two directions, which three steps can be."""
    reverse = reverse_of(ELLIPSE, sde)
    given = Fitting(analytic=analytic, to=to, fine=40, values=2)
    fitted = calibrate(reverse, 3, x=sde.prior_std * normal(8), fitting=given)
    assert fitted.fitted[1] < 1e-7 < fitted.theory[1]
    new = sde.prior_std * normal(5, seed=1)
    end = Pipeline(reverse, Leg(to, fitted)).sample(x=new)
    early, late = sde.at(to or sde.eps), sde.at(sde.T)
    mean, variance = torch.tensor([0.3, -0.5]).double(), torch.tensor([1.0, 0.09]).double()
    spread = [(each.alpha**2 * variance + each.sigma**2).sqrt() for each in (early, late)]
    right = early.alpha * mean + (new - late.alpha * mean) * spread[0] / spread[1]
    if to == 0.0:
        right = mean + (right - early.alpha * mean) * early.alpha * variance / spread[0] ** 2
    assert torch.allclose(end.x, right, atol=1e-2)
    assert end.nfe == fitted.claims.evaluations == 3


def test_theory_is_dpm_solver_2m():
    reverse, grid = reverse_of(RING), Karras(6)
    times = grid.times(1.0, 0.01, SDE)
    rule = Rule.theory(tuple(ratio_at(SDE, time) for time in times), values=3)

    def asked(y, place):
        return reverse.denoised(SDE.at(times[place]).alpha * y, times[place])

    *_, end = walk(asked, rule.weights, Held(normal(4) / SDE.at(1.0).alpha))
    leg = Leg(0.01, OnGrid(solver("dpmpp-2m"), grid))
    right = Pipeline(reverse, leg).sample(x=normal(4)).x
    assert torch.allclose(SDE.at(0.01).alpha * end.y, right, rtol=1e-10)


def test_a_parameter_touches_no_step_before_its_first():
    rule = Rule.theory((9.0, 4.0, 1.0, 0.3, 0.0), values=2)
    assert rule.with_parameters(rule.parameters).ratios == pytest.approx(rule.ratios)
    assert [len(step) for step in rule.corrections] == [2, 3, 3, 3]
    assert len(rule.parameters) == len(rule.touched) == 3 + 11
    for number, first in enumerate(rule.touched):
        moved = list(rule.parameters)
        moved[number] += 0.01
        pairs = zip(rule.weights, rule.with_parameters(tuple(moved)).weights, strict=True)
        differs = [one != pytest.approx(other, abs=1e-12) for one, other in pairs]
        assert differs.index(True) == first


def test_the_rule_that_is_best_on_other_noises_is_taken():
    """Other noises that end where the second rule of the fit takes them."""
    rule = Rule.theory((9.0, 2.0, 0.5, 0.0), values=2)
    start = SDE.time_at(torch.tensor(9.0).double().log() * -2.0)
    span, y = (float(start), 0.0), 9.0 * normal(2)
    fit = Pairs(reverse_of(RING), None, span, y, targets_of(y))
    rules = [tried.rule for tried in islice(refined(rule, fit), 4)]
    errors = [fit.error(each) for each in (rule, *rules)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3 * errors[0]
    other = replace(fit, end=fit.run(rules[1])[-1].y)
    assert best_refined(rule, fit, other, 4) == rules[1]
    assert best_refined(rule, fit, replace(fit, end=fit.run(rule)[-1].y), 4) is rule
    assert best_refined(rule, fit, fit, 1) == rules[0]


def targets_of(y):
    """Where the flow takes y from sigma / alpha = 9."""
    start = float(SDE.time_at(torch.tensor(9.0).double().log() * -2.0))
    run = sample(reverse_of(RING), x=SDE.at(start).alpha * y, t=start, by=FINE)
    return run.x


def test_it_is_counted_and_reported_as_any_solver():
    seen, fitted = [], on_ring()
    run = Pipeline(reverse_of(RING), Leg(0.0, fitted)).sample(x=normal(2), observers=seen.append)
    assert run.nfe == fitted.nfe == 3
    assert [event.t for event in seen] == list(fitted.times)
    assert seen[-1].x.equal(run.x)


def test_it_follows_the_flow_at_every_stochasticity():
    loud = Pipeline(reverse_of(RING, stochasticity=1.0), Leg(0.0, on_ring()))
    quiet = Pipeline(reverse_of(RING), Leg(0.0, on_ring()))
    assert loud.sample(x=normal(2)).x.equal(quiet.sample(x=normal(2)).x)


def gaussians(means, stds):
    """A network of Gaussians, with a mean and a standard deviation for each row."""

    def noise(x, t, means, stds):
        alpha, sigma = SDE.alpha(t.double())[:, None], SDE.sigma(t.double())[:, None]
        return sigma * (x - alpha * means) / (alpha**2 * stds**2 + sigma**2)

    return ReverseSDE(SDE, FromNoise(Bound(noise, means=means, stds=stds), SDE))


def test_rows_have_their_own_labels():
    """In another order the means would be missed by far."""
    reverse = gaussians(3.0 * normal(8, seed=2), torch.full((8, 1), 0.5))
    fitted = calibrate(reverse, 3, x=normal(8), fitting=Fitting(rounds=6, fine=30))
    assert fitted.fitted[1] < 1e-3
    assert fitted.network == ()


def test_theory_is_kept_where_the_fit_is_no_better():
    """Of points, those that are held out, theory is exact."""
    stds = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])[:, None]
    reverse = gaussians(torch.zeros(6, 2), stds)
    with pytest.warns(UserWarning, match="no better than theory on the 2 noises"):
        fitted = calibrate(reverse, 3, x=normal(6), fitting=replace(QUICK, analytic=False))
    assert fitted.theory == fitted.fitted


class Interrupted:
    """The score of a target, until it has been asked so many times."""

    def __init__(self, times):
        self.score, self.times, self.asked = RING.score(SDE), times, 0

    def __call__(self, x, t):
        if self.asked == self.times:
            raise KeyboardInterrupt
        self.asked += 1
        return self.score(x, t)


@cache
def fitted_by(asked=None, resume=None):
    """A solver from enough noises for two parts, and how often the score was asked."""
    score, few = Interrupted(asked), Fitting(rounds=3, fine=10, values=2)
    by = calibrate(ReverseSDE(SDE, score), 1, x=normal(900), fitting=few, resume=resume)
    return by, score.asked


@pytest.mark.parametrize(("end", "parts"), [(14, 2), (35, 1)])
def test_what_was_interrupted_goes_on_to_the_same_solver(tmp_path, end, parts):
    """So many evaluations before its end, where so many parts of the fit have begun."""
    right, asked = fitted_by()
    with pytest.raises(KeyboardInterrupt):
        fitted_by(asked - end, tmp_path)
    assert len(list(tmp_path.iterdir())) == parts
    again, rest = fitted_by(resume=tmp_path)
    assert again == right
    assert rest < 0.8 * asked


@pytest.mark.parametrize(
    ("says", "arguments"),
    [
        ("nfe = 0: must be a whole number of at least 1", {"nfe": 0}),
        ("nfe = 2.5", {"nfe": 2.5}),
        ("nfe = nan", {"nfe": float("nan")}),
        ("fitting = 20: must be a Fitting", {"fitting": 20}),
        ("of at least 2 noises", {"shape": (1, 2)}),
        ("nfe = 9: must be at most fine = 8, .*A larger", {"nfe": 9, "fitting": Fitting(fine=8)}),
        ("shape = None", {"shape": None}),
        ("to = 1.0", {"fitting": Fitting(to=1.0)}),
        ("resume = 3: must be the path of a folder", {"resume": 3}),
        ("x = 'ndarray'", {"x": normal(2).numpy(), "shape": (2, 2)}),
    ],
)
def test_what_is_wrong_is_said(says, arguments):
    usual = {"reverse": reverse_of(RING), "nfe": 3, "shape": (4, 2)}
    with pytest.raises(ArgumentError, match=says):
        calibrate(**usual | arguments)


@pytest.mark.parametrize(
    ("says", "network"),
    [
        ("cannot be called as .*missing.*Bound", lambda x, t, labels: x),
        ("noises of shape .2,.: must be of the shape.*of another size", lambda x, t: complain()),
    ],
)
@pytest.mark.parametrize("run", [calibrate, gits], ids=["calibrate", "gits"])
def test_a_network_that_cannot_be_asked_is_said_to_be(says, network, run):
    with pytest.raises(PairingError, match=says):
        run(ReverseSDE(SDE, FromNoise(network, SDE)), 3, (4, 2))


def complain():
    raise RuntimeError("of another size\nand a trace")


def test_one_evaluation_is_enough_for_a_solver():
    shortest = Fitting(rounds=1, fine=10, analytic=False)
    assert calibrate(reverse_of(RING), 1, x=normal(4), fitting=shortest).nfe == 1


def test_a_network_that_is_not_finite_is_said_to_be():
    with pytest.raises(NonFiniteError, match="not finite after t = 1"):
        calibrate(ReverseSDE(SDE, lambda x, t: x * torch.nan), 3, (4, 2))
