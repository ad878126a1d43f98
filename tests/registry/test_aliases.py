"""Names that other libraries have for what is here."""

from __future__ import annotations

import math
import types
from pathlib import Path

import pytest
import torch

import sdeplug as sp
from sdeplug import Alias, ArgumentError, PluginError, UnknownNameError
from sdeplug.registry import Registry, hookimpl, named, named_grid, plainly, registry, told_of
from sdeplug.registry.building import grid
from sdeplug.sde import EDMSDE, VPSDE

VE = EDMSDE()


def offering(aliases, solvers=None):
    hooks = {"sdeplug_aliases": hookimpl(lambda: aliases)}
    if solvers:
        hooks["sdeplug_solvers"] = hookimpl(lambda: solvers)
    return types.SimpleNamespace(**hooks)


def known(**plugins):
    found = Registry(())
    for name, plugin in plugins.items():
        found.register(plugin, name)
    return found


@pytest.mark.parametrize("entry", registry().aliases().values(), ids=lambda e: e.name)
def test_every_name_from_elsewhere_builds_what_it_says(entry):
    """By its meaning as it is written, whatever has the name here; and nothing is half said."""
    alias = entry.obj

    def build(text):
        return named_grid(text, 3) if alias.kind == "grids" else named("solvers", text)

    built = build(alias.written)
    found, options = registry().meant(alias.kind, entry.short)
    assert alias.library
    assert alias.same or alias.note
    if found.name != alias.name:
        assert f"itself is {found.name}" in told_of(entry)
        assert plainly(found.short) == plainly(entry.short)
    else:
        assert build(entry.short) == built or not options


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("euler_a", sp.solver("song/ancestral")),
        ("Euler a", sp.solver("song/ancestral")),
        ("DPM++ 2M SDE", sp.solver("exponential/dpmpp-2m-sde")),
        ("dpmpp_2m", sp.solver("exponential/dpmpp-2m")),
        ("UniPCMultistepScheduler", sp.solver("exponential/unipc", order=2)),
        ("sample_lms", sp.solver("foreign/k-diffusion", sampler="lms")),
        ("euler", sp.solver("ode/euler")),
        ("HEUN", sp.solver("ode/heun")),
    ],
)
def test_a_name_from_elsewhere_is_taken_wherever_a_solver_is_named(name, wanted):
    assert sp.solver(name) == named("solvers", name) == wanted
    assert sp.from_spec({"name": name}, sp.Integrator) == wanted
    assert sp.from_spec(sp.to_spec(sp.solver(name)), sp.Integrator) == wanted


def test_options_that_are_given_come_before_those_of_the_name():
    assert sp.solver("UniPCMultistepScheduler", order=3) == sp.solver("unipc", order=3)
    assert named("solvers", "UniPCMultistepScheduler:order=3") == sp.solver("unipc", order=3)
    spec = {"name": "UniPCMultistepScheduler", "order": 3}
    assert sp.from_spec(spec, sp.Integrator) == sp.solver("unipc", order=3)


def test_grids_have_names_from_elsewhere_too():
    assert grid("beta57", steps=3) == named_grid("beta57", 3) == sp.Beta(3, 0.5, 0.7)
    assert named_grid("beta57:a=0.6", 3) == sp.Beta(3, 0.6, 0.7)
    assert sp.from_spec({"name": "sgm_uniform", "steps": 3}, sp.TimeGrid) == sp.Uniform(3)


SOLVER = type(sp.solver("ode/heun"))


def test_a_name_that_a_plugin_gives_its_own_is_never_taken_from_it():
    mine = offering({"swift": Alias("mine/other")}, {"other": SOLVER})
    yours = offering({}, {"swift": SOLVER})
    assert known(mine=mine).meant("solvers", "swift")[0].name == "mine/other"
    both = known(mine=mine, yours=yours)
    for name in ("swift", "SWIFT", "s_w_i_f_t"):
        assert both.meant("solvers", name)[0].name == "yours/swift"


def test_plugins_that_do_not_agree_are_told_apart():
    mine = offering({"swift": Alias("mine/one")}, {"one": SOLVER, "two": SOLVER})
    same = offering({"Swift": Alias("mine/one")})
    assert known(mine=mine, same=same).meant("solvers", "swift")[0].name == "mine/one"
    other = offering({"Swift": Alias("mine/two")})
    with pytest.raises(UnknownNameError, match="'mine/one' to mine and 'mine/two' to other"):
        known(mine=mine, other=other).meant("solvers", "swift")


def test_a_name_whose_solver_is_not_installed_says_what_is_missing():
    found = known(mine=offering({"swift": Alias("theirs/solver")}))
    with pytest.raises(UnknownNameError, match="'swift' means 'theirs/solver': install"):
        found.meant("solvers", "swift")
    entry = found.aliases()["mine/swift"]
    assert entry.obj.written == "theirs/solver"


def test_a_solver_of_a_plugin_that_is_left_out_says_so():
    left_out = Registry(environment={"SDEPLUG_BLOCK": "song"})
    found = offering({"mist": Alias("song/ancestral")})
    left_out.register(found, "mine")
    with pytest.raises(PluginError, match="left out by SDEPLUG_BLOCK=song"):
        left_out.meant("solvers", "mist")


def test_near_names_are_those_from_elsewhere_too():
    with pytest.raises(UnknownNameError, match="'UniPCMultistepScheduler'"):
        sp.solver("UniPCMultistepSchedular")


def test_near_names_are_near_in_any_case():
    with pytest.raises(UnknownNameError, match="Did you mean 'exponential/stork'"):
        sp.solver("STORK-2")


def test_a_name_from_elsewhere_belongs_to_its_kind():
    with pytest.raises(UnknownNameError, match="no grid is called 'euler_a'"):
        grid("euler_a", steps=3)
    with pytest.raises(UnknownNameError, match="no metric is called 'beta57'"):
        registry().meant("metrics", "beta57")


@pytest.mark.parametrize(
    ("aliases", "message"),
    [
        ({"swift": "mine/one"}, "an Alias"),
        ({"a/b": Alias("mine/one")}, "without '/'"),
        ({"a:b": Alias("mine/one")}, "without '/'"),
        ({"++": Alias("mine/one")}, None),
        ({"--": Alias("mine/one")}, "a name with a letter"),
        ({3: Alias("mine/one")}, "a name with a letter"),
    ],
)
def test_a_name_that_is_none_is_left_out(aliases, message):
    if message is None:
        assert known(mine=offering(aliases)).aliases()
        return
    with pytest.raises(PluginError, match=message):
        known(mine=offering(aliases))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Alias("ddim"), "name = 'ddim': must be a full name"),
        (lambda: Alias(3), "name = 3"),
        (lambda: Alias("a/b", kind="metrics"), "kind = 'metrics'"),
        (lambda: Alias("a/b", 3), "options"),
    ],
)
def test_a_meaning_that_is_none_is_refused_at_once(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


# Grids: the levels that others compute before their last step to 0


@pytest.mark.parametrize(
    ("names", "level"),
    [
        (("karras", "get_sigmas_karras", "use_karras_sigmas"),
         lambda u: (80 ** (1 / 7) + u * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7),
        (("exponential", "get_sigmas_exponential", "polyexponential", "use_exponential_sigmas",
          "get_sigmas_polyexponential"),
         lambda u: 80 * (0.002 / 80) ** u),
    ],
)  # fmt: skip
def test_levels_are_those_of_the_formula(names, level):
    for name in names:
        got = grid(name, steps=7).times(80.0, 0.002, VE)
        assert list(got) == pytest.approx([level(k / 7) for k in range(8)])


def test_lu_lambdas_are_those_that_diffusers_makes():
    schedulers = pytest.importorskip("diffusers.schedulers")
    theirs = schedulers.DPMSolverMultistepScheduler()._convert_to_lu(
        in_lambdas=torch.tensor([80.0, 3.0, 0.002], dtype=torch.float64).log(),
        num_inference_steps=8,
    )
    got = grid("use_lu_lambdas", steps=7).times(80.0, 0.002, VE)
    assert list(got) == pytest.approx([math.exp(each) for each in theirs])


def test_sigmas_of_vp_are_those_of_the_formula():
    """sigma of k-diffusion is our sigma / alpha: at n levels, equally apart in time."""
    sde = VPSDE()
    levels = [
        math.sqrt(math.exp(19.9 * t**2 / 2 + 0.1 * t) - 1)
        for t in torch.linspace(1.0, 1e-3, 8, dtype=torch.float64).tolist()
    ]
    at = map(sde.at, grid("get_sigmas_vp", steps=7).times(1.0, 1e-3, sde))
    assert [each.sigma / each.alpha for each in at] == pytest.approx(levels)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("StableDiffusionSigmas", "StableDiffusionSigmas"),
        ("StableDiffusionXLSigmas", "StableDiffusionXLSigmas"),
        ("StableDiffusionVideoSigmas", "StableDiffusionVideoSigmas"),
        ("AlignYourSteps SVD", "StableDiffusionVideoSigmas"),
    ],
)
def test_tables_of_align_your_steps_are_those_of_diffusers(name, table):
    utilities = pytest.importorskip("diffusers.schedulers.scheduling_utils")
    wanted = utilities.AysSchedules[table]
    got = grid(name, steps=10).times(wanted[0], 0.0, EDMSDE(T=wanted[0]))
    assert list(got) == pytest.approx(wanted)


def test_every_grid_that_is_called_the_same_is_tried():
    """Here, or by its formula among the grids themselves."""
    here = (
        "karras get_sigmas_karras use_karras_sigmas exponential get_sigmas_exponential "
        "polyexponential get_sigmas_polyexponential use_exponential_sigmas use_lu_lambdas "
        "get_sigmas_vp StableDiffusionSigmas StableDiffusionXLSigmas StableDiffusionVideoSigmas"
    ).split()
    elsewhere = "kl_optimal linear_quadratic bong_tangent".split()
    same = {
        entry.short
        for entry in registry().aliases().values()
        if entry.obj.kind == "grids" and entry.obj.same
    }
    assert same == {*here, "AlignYourSteps SVD", *elsewhere}


def test_whole_levels_of_a_table_are_near_equal_steps():
    """``simple`` and ``sgm_uniform`` in 8 steps on 1000 levels; level l is at (l + 1) / 1000."""
    ours = grid("simple", steps=8).times(1.0, 0.0, VPSDE())
    simple = [(1000 - int(k * 1000 / 8)) / 1000 for k in range(8)]
    sgm = [(999 * (1 - k / 8) + 1) / 1000 for k in range(8)]
    assert ours[:-1] == pytest.approx(simple, abs=1e-12)
    assert ours[:-1] == pytest.approx(sgm, abs=1e-3)


def test_the_page_of_names_is_that_of_the_registry(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs")
    import names_table

    page = names_table.PAGE.read_text(encoding="utf-8")
    assert names_table.written(page) == page
    for library in {entry.obj.library for entry in registry().aliases().values() if entry.bundled}:
        assert f"<!-- generated: {library} -->" in page
