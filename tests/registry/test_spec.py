"""Values as plain data and back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch
from common import GaussianScore
from hypothesis import given
from hypothesis import strategies as st

from sdeplug import (
    At,
    Corrected,
    Corrector,
    Denoise,
    FlowIntegrator,
    Focus,
    ForwardSDE,
    Integrator,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    Quadratic,
    ReverseSDE,
    TimeGrid,
    Uniform,
    from_spec,
    read_spec,
    solver,
    to_spec,
    write_spec,
)
from sdeplug.errors import ArgumentError, PairingError, PluginError, SdeplugError, UnknownNameError
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE

POSITIVE = st.floats(1e-300, 1e300)
STEPS = st.integers(1, 10**9)
REFERENCE = st.none() | STEPS
GRID_VALUES = st.one_of(
    st.builds(Uniform, STEPS),
    st.builds(Quadratic, STEPS),
    st.builds(LogSNR, STEPS, power=POSITIVE),
    st.builds(Karras, STEPS, rho=POSITIVE),
    st.builds(Focus, STEPS, low=st.floats(0.0, 1.0), high=st.floats(1.5, 1e300)),
    st.sets(st.floats(0.0, 1e9)).map(lambda points: At(tuple(sorted(points, reverse=True)))),
)
CORRECTORS = st.one_of(
    st.builds(
        lambda **options: solver("song/langevin", **options),
        snr=POSITIVE, steps=STEPS, batch_mean=st.booleans(), reference_steps=REFERENCE,
    ),
    st.builds(
        lambda snr: solver("song/annealed-langevin", snr=snr),
        st.floats(0.0, 1.0, exclude_min=True),
    ),
)  # fmt: skip
STEPPERS = st.one_of(
    st.sampled_from(["ode/euler", "ode/heun", "ode/rk4", "song/hold"]).map(solver),
    st.builds(lambda n: solver("ode/adams-bashforth", order=n), st.integers(1, 4)),
    st.builds(lambda n: solver("song/euler-maruyama", reference_steps=n), REFERENCE),
    st.builds(lambda large: solver("song/ancestral", large_variance=large), st.booleans()),
    st.just(Denoise()),
)
INTEGRATORS = st.recursive(
    STEPPERS,
    lambda inner: st.one_of(
        st.builds(OnGrid, inner, GRID_VALUES, st.booleans()),
        st.builds(Corrected, inner, CORRECTORS, st.integers(0, 9), st.booleans()),
    ),
    max_leaves=4,
)
SDE_VALUES = st.one_of(
    st.builds(VPSDE, st.floats(0.0, 1.0), st.floats(1.0, 30.0)),
    st.builds(SubVPSDE, eps=st.floats(1e-6, 1e-2)),
    st.builds(VESDE, st.floats(1e-3, 0.1), st.floats(1.0, 1e3)),
    st.builds(CosineVPSDE, st.floats(1e-4, 0.1)),
    st.builds(EDMSDE, st.floats(1.0, 1e3)),
)
FAMILIES = {
    Integrator: INTEGRATORS,
    TimeGrid: GRID_VALUES,
    Corrector: CORRECTORS,
    ForwardSDE: SDE_VALUES,
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_values_come_back_through_json(family, data):
    value = data.draw(FAMILIES[family])
    spec = to_spec(value)
    back = from_spec(json.loads(json.dumps(spec)), family)
    assert back == value
    assert repr(back) == repr(value)
    assert to_spec(back) == spec


@given(
    sde=SDE_VALUES,
    level=st.floats(0.0, 10.0),
    # Denoise by itself only runs to 0; the last test of this file has it there.
    by=st.lists(INTEGRATORS.filter(lambda by: not isinstance(by, Denoise)), min_size=1, max_size=3),
    levels=st.lists(st.none() | st.floats(0.0, 10.0), min_size=3, max_size=3),
    to=st.sets(st.floats(0.01, 0.5), min_size=3, max_size=3),
    ending=st.sampled_from([".json", ".toml"]),
)
def test_pipelines_come_back_through_files(tmp_path_factory, sde, level, by, levels, to, ending):
    times = sorted(to, reverse=True)
    legs = tuple(Leg(*each) for each in zip(times, by, levels, strict=False))
    pipeline = Pipeline(ReverseSDE(sde, GaussianScore(sde), level), legs)
    path = tmp_path_factory.getbasetemp() / f"pipeline{ending}"
    write_spec(pipeline.to_spec(), path)
    assert read_spec(path) == pipeline.to_spec()
    assert Pipeline.from_spec(read_spec(path), GaussianScore) == pipeline


def test_a_pipeline_from_a_file_gives_the_same_samples(tmp_path):
    sde = VPSDE(beta_max=15.0)
    pc = Corrected(solver("song/reverse-diffusion"), solver("song/langevin", snr=0.1))
    legs = (Leg(0.3, OnGrid(pc, Uniform(5))), Leg(0.0, Denoise()))
    pipeline = Pipeline(ReverseSDE(sde, GaussianScore(sde), 0.5), legs)
    path = str(tmp_path / "new" / "folder" / "p.toml")
    write_spec(pipeline.to_spec(), path)
    back = Pipeline.from_spec(read_spec(path), GaussianScore)
    assert torch.equal(back.sample((3, 2), seed=1).x, pipeline.sample((3, 2), seed=1).x)


def test_a_spec_holds_what_differs_from_the_defaults():
    by = OnGrid(
        Corrected(solver("song/euler-maruyama"), solver("song/langevin", snr=0.1)), Uniform(9)
    )
    reverse = ReverseSDE(VPSDE(), GaussianScore(VPSDE()))
    assert Pipeline(reverse, (Leg(0.5, by), Leg(0.1, solver("auto"), 0.0))).to_spec() == {
        "sde": {"name": "core/vp"},
        "stochasticity": 1.0,
        "legs": [
            {
                "to": 0.5,
                "by": {
                    "name": "on-grid",
                    "integrator": {
                        "name": "corrected",
                        "integrator": {"name": "song/euler-maruyama"},
                        "corrector": {"name": "song/langevin", "snr": 0.1},
                    },
                    "grid": {"name": "uniform", "steps": 9},
                },
            },
            {"to": 0.1, "by": {"name": "exponential/auto"}, "stochasticity": 0.0},
        ],
    }


def test_short_names_and_left_out_keys_do():
    spec = {"sde": {"name": "vp"}, "legs": [{"to": 0.5, "by": {"name": "heun"}}]}
    built = Pipeline.from_spec(spec, GaussianScore)
    assert built.reverse == ReverseSDE(VPSDE(), GaussianScore(VPSDE()))
    assert built.legs == (Leg(0.5, OnGrid(solver("ode/heun"), LogSNR(100))),)


def test_a_kind_of_a_family_is_one_too():
    """An option of a solver may ask for it."""
    assert from_spec({"name": "vp"}, LinearSDE) == VPSDE()
    assert from_spec({"name": "ode/heun"}, FlowIntegrator) == solver("ode/heun")
    with pytest.raises(PairingError, match="must be of type FlowIntegrator"):
        from_spec({"name": "song/euler-maruyama"}, FlowIntegrator)


@pytest.mark.parametrize(
    ("spec", "family", "error", "message"),
    [
        ({"name": "no/such"}, Integrator, UnknownNameError, "no/such"),
        ({"name": "song/euler-maruyam"}, Integrator, UnknownNameError, "Did you mean"),
        ({"name": "unifrom", "steps": 3}, TimeGrid, UnknownNameError, "mean 'core/uniform'"),
        ({"name": "langevin"}, Integrator, PairingError, r"must be of type Integrator.*Corrected"),
        ({"name": "ode/heun"}, Corrector, PairingError, "must be of type Corrector"),
        ({"name": "uniform", "steps": 3}, Integrator, PairingError, "'uniform' is Uniform"),
        ({"name": "on-grid"}, TimeGrid, PairingError, "'on-grid' is OnGrid"),
        ({"name": "vp"}, Integrator, UnknownNameError, "vp"),
        ({}, Integrator, ArgumentError, "a table with the name of the Integrator"),
        ({"name": 3}, Integrator, ArgumentError, "a table with the name"),
        ("ode/heun", Integrator, ArgumentError, "a table with the name"),
        (None, TimeGrid, ArgumentError, "a table with the name of the TimeGrid"),
        ({"name": "uniform"}, TimeGrid, ArgumentError, "options of uniform"),
        ({"name": "uniform", "stesp": 3}, TimeGrid, ArgumentError, "Did you mean 'steps'"),
        ({"name": "uniform", "steps": "3"}, TimeGrid, ArgumentError, "steps = '3'"),
        ({"name": "at", "points": [0.1, 0.2]}, TimeGrid, ArgumentError, "strictly falling"),
        ({"name": "at", "points": [[0.2]]}, TimeGrid, ArgumentError, "points"),
        ({"name": "song/langevin", "snr": None}, Corrector, ArgumentError, "snr = None"),
        (
            {"name": "on-grid", "integrator": {"name": "ode/heun"}, "grid": 5},
            Integrator, ArgumentError, "spec = 5.*TimeGrid",
        ),
        (
            {"name": "on-grid", "integrator": "ode/heun", "grid": {"name": "uniform", "steps": 1}},
            Integrator, ArgumentError, "a table with the name of the Integrator",
        ),
    ],
)  # fmt: skip
def test_specs_that_make_nothing_are_refused(spec, family, error, message):
    with pytest.raises(error, match=message):
        from_spec(spec, family)


GOOD = {"sde": {"name": "vp"}, "legs": [{"to": 0.5, "by": {"name": "ode/heun"}}]}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"sde": GOOD["sde"]}, "keys of pipeline.*Wrong: legs"),
        ({"legs": GOOD["legs"]}, "keys of pipeline.*Wrong: sde"),
        (GOOD | {"seed": 3}, "Wrong: seed"),
        (GOOD | {"legs": {"to": 0.5}}, "a list of tables with to and by"),
        (GOOD | {"legs": []}, "at least one Leg"),
        (GOOD | {"legs": ["heun"]}, "leg = 'heun': must be a table"),
        (GOOD | {"legs": [{"to": 0.5}]}, "keys of leg.*Wrong: by"),
        (GOOD | {"legs": [{"to": 0.5, "with": {"name": "ode/heun"}}]}, "Wrong: by, with"),
        (GOOD | {"legs": [{"to": "0.5", "by": {"name": "ode/heun"}}]}, r"to = '0\.5'"),
        (GOOD | {"legs": [GOOD["legs"][0] | {"stochasticity": "low"}]}, "stochasticity = 'low'"),
        (GOOD | {"stochasticity": "low"}, "stochasticity = 'low'"),
        (GOOD | {"stochasticity": None}, "stochasticity = None"),
        (GOOD | {"sde": "vp"}, "a table with the name of the ForwardSDE"),
        (["sde", "legs"], "must be a table"),
    ],
)
def test_pipelines_that_are_malformed_are_refused(spec, message):
    with pytest.raises(SdeplugError, match=message):
        Pipeline.from_spec(spec, GaussianScore)
    assert Pipeline.from_spec(GOOD, GaussianScore)


def test_functions_and_nameless_classes_have_no_plain_form():
    @dataclass(frozen=True)
    class Nameless(Integrator):
        def integrate(self, reverse, x, t, s, run):
            return x

    reverse = ReverseSDE(VPSDE(), GaussianScore(VPSDE()), lambda t: t)
    with pytest.raises(ArgumentError, match="A function has no plain form"):
        Pipeline(reverse, (Leg(0.5, solver("ode/heun")),)).to_spec()
    with pytest.raises(PluginError, match="has no name, since no plugin offers it"):
        to_spec(OnGrid(Nameless(), Uniform(3)))

    class Finer(Uniform):
        """A grid of the core, changed: its name is not that of the core's."""

    with pytest.raises(PluginError, match="Finer has no name"):
        to_spec(Finer(3))
    with pytest.raises(ArgumentError, match="spec = None"):
        to_spec(None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.yaml", "", r"ends in \.json or \.toml"),
        ("p", "", r"ends in \.json or \.toml"),
        ("p.json", "{", "a readable file"),
        ("p.json", "[1]", "a table at its top"),
        ("p.toml", "a = ", "a readable file"),
        ("p.toml", b"\xff\xfe", "a readable file"),
    ],
)
def test_files_that_are_no_spec_are_refused(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ArgumentError, match=message):
        read_spec(path)
    with pytest.raises(ArgumentError, match="path = "):
        read_spec(tmp_path / "absent.json")
    with pytest.raises(ArgumentError, match=r"ends in \.json or \.toml"):
        write_spec({}, tmp_path / "p.yaml")
