"""Weights of exponential integrators: exact integrals, whatever the step and the points."""

from __future__ import annotations

from math import exp, expm1, inf, log1p, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad

from sdeplug_exponential.multistep import Rule, combination, combinations
from sdeplug_exponential.prediction import NOISE
from sdeplug_exponential.weights import (
    bent_weights,
    exact_slope,
    kernel,
    lagrange_weights,
    mean_slope,
    step_weights,
    taylor_slope,
)

sizes = st.floats(-12.0, 1.6).map(lambda power: 10.0**power)  # of kappa h: 1e-12 to 40
gaps = st.floats(0.1, 3.0)


def moments(z: float, count: int) -> list[float]:
    """Integrals of z exp(-z (1 - v)) v^p: by the recurrence, or by its series for small z."""
    if z > 1.0:
        found = [-expm1(-z)]
        for power in range(1, count):
            found.append(1.0 - power / z * found[-1])
        return found
    found = []
    for power in range(count):
        total, term = 0.0, z / (power + 1)
        for k in range(40):
            total += term
            term *= -z / (power + 2 + k)
        found.append(total)
    return found


@given(sizes, st.lists(gaps, min_size=0, max_size=3), st.booleans())
def test_polynomials_through_the_points_are_integrated_exactly(z, older, corrects):
    points = [1.0, 0.0] if corrects else [0.0]
    for gap in older:
        points.append(points[-1] - gap)
    weights = step_weights(z, points)
    for power, wanted in enumerate(moments(z, len(points))):
        got = sum(w * p**power for w, p in zip(weights, points, strict=True))
        size = sum(abs(w * p**power) for w, p in zip(weights, points, strict=True))
        assert got == pytest.approx(wanted, rel=1e-11, abs=1e-12 * size)


@given(
    st.floats(0.05, 8.0), st.lists(gaps, max_size=3), st.booleans(), st.floats(-3.0, 5.0),
    st.floats(0.01, 10.0),
)  # fmt: skip
def test_polynomials_in_another_variable_are_integrated_exactly(h, older, corrects, start, knee):
    points = [1.0, 0.0] if corrects else [0.0]
    for gap in older:
        points.append(points[-1] - gap)

    def bent(v):
        return log1p(exp(-start - v * h) / knee)

    weights = bent_weights(kernel(h), points, bent)
    for power in range(len(points)):
        wanted, _ = quad(lambda v, k=power: h * exp(h * (v - 1.0)) * bent(v) ** k, 0.0, 1.0)
        terms = [w * bent(p) ** power for w, p in zip(weights, points, strict=True)]
        assert sum(terms) == pytest.approx(wanted, rel=1e-7, abs=1e-9 * sum(map(abs, terms)))


@given(st.floats(-2.0, 3.0), st.floats(0.1, 1.5), st.floats(0.0, 2.0), st.integers(2, 4))
def test_a_knee_far_below_is_none(start, step, zeta, count):
    places = tuple(start - step * k for k in range(4))
    none, low = (
        combination(Rule(count, count, knee=knee), start + step, places, (zeta, zeta))
        for knee in (0.0, 1e-9)
    )
    assert low[1] == pytest.approx(none[1], rel=1e-5, abs=1e-5)
    high = combination(Rule(count, count, knee=10.0), start + step, places, (zeta, zeta))
    assert (high[0], high[2]) == (none[0], none[2])
    assert high[1] != pytest.approx(none[1], rel=1e-4, abs=1e-4)


@given(
    st.floats(0.05, 8.0), st.lists(gaps, max_size=3), st.booleans(), st.floats(-3.0, 5.0),
    st.floats(0.0, 4.0),
)  # fmt: skip
def test_polynomials_of_the_noise_are_integrated_exactly(h, older, corrects, start, zeta):
    """Against q times the polynomial along a step, in log q."""
    points = [1.0, 0.0] if corrects else [0.0]
    for gap in older:
        points.append(points[-1] - gap)
    weights = lagrange_weights(points, NOISE.measure(zeta, h, start))
    scale = (1.0 + zeta) * h * exp(-start)
    for power in range(len(points)):
        wanted, _ = quad(lambda v, k=power: scale * exp(-h * v) * v**k, 0.0, 1.0)
        terms = [w * p**power for w, p in zip(weights, points, strict=True)]
        assert sum(terms) == pytest.approx(wanted, rel=1e-9, abs=1e-11 * sum(map(abs, terms)))


@given(st.floats(-5.0, 5.0), st.floats(1e-6, 20.0), st.floats(0.0, 4.0))
def test_where_the_noise_is_held(place, h, zeta):
    decay, weights, share = combination(Rule(1, prediction=NOISE), place + h, (place,), (zeta, 0.0))
    h = place + h - place  # what is left of it after rounding
    assert decay == 1.0
    assert weights[0] == pytest.approx(-(1.0 + zeta) * exp(-place) * expm1(-h), rel=1e-9)
    assert share == pytest.approx(sqrt(zeta * expm1(2.0 * h)), rel=1e-9)


@given(sizes)
def test_the_weights_add_up_to_what_the_state_loses(z):
    for points in ([0.0], [0.0, -1.0], [1.0, 0.0, -0.5], [1.0, 0.0, -1.0, -1.3, -2.0]):
        for slope in (exact_slope, mean_slope, taylor_slope):
            total = sum(step_weights(z, points, slope))
            assert total == pytest.approx(-expm1(-z), rel=1e-11)
    assert sum(weight for _, weight in kernel(z)) == pytest.approx(-expm1(-z), rel=1e-13)


@given(st.floats(1e-3, 30.0))
def test_the_slopes(z):
    assert exact_slope(z) == pytest.approx(1.0 + expm1(-z) / z, rel=1e-10)
    assert mean_slope(z) == pytest.approx(-0.5 * expm1(-z), rel=1e-12)
    assert taylor_slope(z) == 0.5 * z


def test_equal_steps_in_the_limit_are_the_known_weights():
    """Without decay they are those of Adams, Bashforth and Moulton."""
    z = 1e-9
    for points, wanted, scale in (
        ([0.0, -1.0, -2.0], (23.0, -16.0, 5.0), 12.0),
        ([1.0, 0.0, -1.0], (5.0, 8.0, -1.0), 12.0),
        ([1.0, 0.0, -1.0, -2.0], (9.0, 19.0, -5.0, 1.0), 24.0),
    ):
        got = [scale * w / z for w in step_weights(z, points)]
        assert got == pytest.approx(wanted, rel=1e-7)


places = st.lists(st.floats(1e-9, 2.0), min_size=1, max_size=5)


@given(places, st.floats(1e-9, 2.0), st.integers(1, 4), st.sampled_from([0, 2, 3, 4, 5]))
def test_no_weight_explodes_where_steps_are_tiny(gaps, step, predictor, corrector):
    rule, here = Rule(predictor, corrector), [0.0]
    for gap in gaps:
        here.append(here[-1] - gap)
    known = tuple(here[: rule.memory])
    decay, weights, share = combination(rule, step, known, (0.5, 0.5))
    assert sum(map(abs, weights)) < 2e5  # 16^4 times a little: not 1e9^4
    assert decay == pytest.approx(exp(-1.5 * step))
    assert sum(weights) == pytest.approx(1.0 - decay, abs=1e-9)
    assert share == pytest.approx(sqrt(-expm1(-step)))


@given(st.lists(gaps, min_size=3, max_size=3), gaps, st.floats(0.0, 2.0))
def test_a_correction_takes_the_prediction_back(gaps, step, zeta):
    """Predict, correct and predict again, one by one, give the combined weights."""
    here = [0.0]
    for gap in gaps:
        here.append(here[-1] - gap)
    assume(min(gaps) > 0.07 * max(*gaps, step))
    _, weights, _ = combination(Rule(2, 3), step, tuple(here[:3]), (zeta, zeta))
    kappa = 1.0 + zeta
    wanted = [0.0, 0.0, 0.0]
    for index, weight in enumerate(step_weights(kappa * step, [0.0, -gaps[0] / step])):
        wanted[index] += weight
    decay, ratio = exp(-kappa * step), gaps[1] / gaps[0]
    for index, weight in enumerate(step_weights(kappa * gaps[0], [1.0, 0.0, -ratio])):
        wanted[index] += decay * weight
    for index, weight in enumerate(step_weights(kappa * gaps[0], [0.0, -ratio])):
        wanted[1 + index] -= decay * weight
    assert weights == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_into_a_time_without_noise_it_jumps_to_the_data():
    places, zetas = (1.0, 0.5, 0.0), (1.0, 1.0)
    assert combination(Rule(3, 3), inf, places, zetas) == (0.0, (1.0, 0.0, 0.0), 0.0)
    noise = Rule(3, 3, prediction=NOISE)  # y - q epsilon
    assert combination(noise, inf, places, zetas) == (1.0, (exp(-1.0), 0.0, 0.0), 0.0)


def test_remembered():
    remembered = combinations(Rule(2))
    assert combinations(Rule(2)) is remembered
    before = remembered.cache_info().hits
    plans = {remembered(0.123, (0.1, 0.05), (0.0, 0.0)) for _ in range(3)}
    assert remembered.cache_info().hits >= before + 2
    assert plans == {combination(Rule(2), 0.123, (0.1, 0.05), (0.0, 0.0))}
