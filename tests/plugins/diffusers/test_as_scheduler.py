"""Any integrator as a scheduler: the same numbers as diffusers' own, in its own pipelines."""

from __future__ import annotations

import diffusers
import pytest
import torch
from plugins.diffusers.sampled import network, run, start

import sdeplug as sp
from sdeplug_diffusers import (
    IntegratorScheduler,
    as_scheduler,
)

pytest.importorskip("diffusers")
# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
close = torch.testing.assert_close


def in_double(theirs, steps):
    """A scheduler of diffusers whose tables are in double precision."""
    cumprod = (1.0 - theirs.betas.double()).cumprod(0)
    theirs.alphas_cumprod = cumprod
    theirs.set_timesteps(steps)
    labels = list(dict.fromkeys(int(t) for t in theirs.timesteps))
    if hasattr(theirs, "one"):
        theirs.one = theirs.one.double()
    if hasattr(theirs, "final_alpha_cumprod"):
        theirs.final_alpha_cumprod = theirs.final_alpha_cumprod.double()
    if hasattr(theirs, "sigmas"):
        ratios = ((1.0 - cumprod) / cumprod).sqrt()[labels]
        each = ratios.repeat_interleave(theirs.order)[theirs.order - 1 :]
        theirs.sigmas = torch.cat((each, torch.zeros(1, dtype=torch.float64)))
    return theirs, labels


CASES = [
    ("DDIMScheduler", {"clip_sample": False}, "exponential/ddim", {}),
    ("DDPMScheduler", {"clip_sample": False}, "song/ancestral", {}),
    ("DPMSolverMultistepScheduler", {}, "exponential/dpmpp-2m", {}),
    ("UniPCMultistepScheduler", {"solver_order": 2}, "exponential/unipc", {"order": 2}),
    ("EulerDiscreteScheduler", {"timestep_spacing": "leading"}, "exponential/ddim", {}),
    ("HeunDiscreteScheduler", {"timestep_spacing": "leading"}, "exponential/edm-heun", {}),
]


def made(theirs, name, **options):
    """A solver in the place of a scheduler of diffusers, with its betas."""
    return as_scheduler(sp.solver(name, **options), trained_betas=theirs.betas.tolist())


@pytest.mark.parametrize(
    ("theirs", "words", "name", "options"), CASES, ids=[case[0] for case in CASES]
)
def test_samples_are_those_of_diffusers(theirs, words, name, options):
    theirs, labels = in_double(getattr(diffusers, theirs)(**words), 8)
    ours = made(theirs, name, **options)
    ours.set_timesteps(timesteps=labels)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist()
    assert ours.order == theirs.order
    draws = isinstance(theirs, diffusers.DDPMScheduler)
    begin = start() / ours.init_noise_sigma
    single = isinstance(theirs, diffusers.EulerDiscreteScheduler)  # it rounds states to float32
    bound = 1e-4 if single else 1e-6
    close(
        run(ours, begin)[-1].double(),
        run(theirs, begin, draws)[-1].double(),
        rtol=bound,
        atol=bound,
    )


def test_unipc_of_order_3_before_diffusers_lowers_the_order():
    theirs, labels = in_double(diffusers.UniPCMultistepScheduler(solver_order=3), 8)
    ours = made(theirs, "exponential/unipc", order=3)
    ours.set_timesteps(timesteps=labels)
    expected = run(theirs, start(), draws=False)
    for one, other in zip(run(ours, start())[:6], expected[:6], strict=True):
        close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    ["ode/rk4", "exponential/exp-rk3", "exponential/sa-solver", "song/euler-maruyama"],
)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_run_is_that_of_the_pipeline_of_sdeplug(name, level):
    """Several stages, memory, noise: what the solver does on the same grid with the same draws."""
    by = sp.solver(name)
    scheduler = as_scheduler(by)
    scheduler.set_timesteps(6)
    got = run(scheduler, start(), eta=level)[-1]
    table, generator = scheduler.schedule.sde, torch.Generator().manual_seed(1)
    nodes = scheduler.schedule.nodes(6)

    class Drawn(sp.Silence):
        def normal(self, like):
            return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    def labelled(x, t):
        label = table.label(t)[0]
        return network(x, label if abs(label - label.round()) > 1e-6 else label.round())

    reverse = sp.ReverseSDE(table, sp.FromNoise(labelled, table), level)
    legs = (sp.Leg(nodes[-1], sp.OnGrid(by, sp.At(nodes[1:-1]))), sp.Leg(0.0, sp.Denoise()))
    expected = sp.Pipeline(reverse, legs).sample(x=start(), t=nodes[0], noise=Drawn()).x
    close(got, expected, rtol=1e-5, atol=1e-5)  # labels between levels are told in float32


WORDS = {"epsilon": 0, "sample": 1, "v_prediction": 2}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("zero", [False, True])
def test_what_the_network_predicts(word, zero):
    """The data are one point: whatever the network predicts, the samples are that point."""
    scheduler = as_scheduler(
        "exponential/dpmpp-2m", prediction_type=word, rescale_betas_zero_snr=zero,
        timestep_spacing="trailing",
    )  # fmt: skip
    scheduler.set_timesteps(7)
    assert int(scheduler.timesteps[0]) == 999
    sde, point, x = scheduler.schedule.sde, 0.7, start()
    for t in scheduler.timesteps:
        marginal = sde.at(scheduler.schedule.time_of(float(t)))
        noise = (x - marginal.alpha * point) / marginal.sigma
        outputs = (
            noise,
            torch.full_like(x, point),
            marginal.alpha * noise - marginal.sigma * point,
        )
        x = scheduler.step(outputs[WORDS[word]], t, x).prev_sample
    close(x, torch.full_like(x, point), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("theirs", "name"),
    [
        ("DDIMScheduler", "exponential/ddim"),
        ("DDPMScheduler", "song/ancestral"),
        ("DPMSolverMultistepScheduler", "exponential/dpmpp-2m"),
    ],
)
@pytest.mark.parametrize("word", ["sample", "v_prediction"])
def test_at_zero_terminal_snr(theirs, name, word):
    """They put alpha = 0, or 2^-12, at the last level; here it is 6.5e-5: nearly one run."""
    words = {
        "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": word,
    }  # fmt: skip
    off = {} if "Multistep" in theirs else {"clip_sample": False}
    other = getattr(diffusers, theirs)(**words, **off)
    ours = IntegratorScheduler.from_config(other.config, solver=name)
    for scheduler in (ours, other):
        scheduler.set_timesteps(8)
    assert ours.timesteps.tolist() == other.timesteps.tolist()
    assert int(ours.timesteps[0]) == 999
    draws = theirs == "DDPMScheduler"
    close(run(ours, start())[-1], run(other, start(), draws)[-1], rtol=1e-3, atol=1e-3)


def test_noise_alone_says_nothing_of_data_to_a_network_that_predicts_noise():
    """Theirs divides by alpha = 0 in the first step; here a point comes out all the same."""
    other = diffusers.DDIMScheduler(
        clip_sample=False, rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    other.set_timesteps(4)
    assert not bool(other.step(start(), 999, start()).prev_sample.isfinite().all())
    ours = IntegratorScheduler.from_config(other.config, solver="exponential/ddim")
    ours.set_timesteps(4)
    assert bool(ours.step(start(), 999, start()).prev_sample.isfinite().all())


def test_in_the_place_of_flow_matching():
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    ours = as_scheduler("ode/euler", prediction_type="flow_prediction", shift=3.0)
    theirs.set_timesteps(6)
    ours.set_timesteps(6)
    close(ours.timesteps, theirs.timesteps, rtol=1e-6, atol=0.0)
    close(ours.sigmas, theirs.sigmas, rtol=1e-5, atol=0.0)
    x, y = start().float(), start().float()
    for t, u in zip(ours.timesteps, theirs.timesteps, strict=True):
        x = ours.step(network(x, t), t, x).prev_sample
        y = theirs.step(network(y, u), u, y).prev_sample
    assert x.dtype == torch.float32
    close(x, y, rtol=1e-5, atol=1e-5)
    ours.set_timesteps(sigmas=[1.0, 0.5])
    close(ours.sigmas, torch.tensor([1.0, 0.75, 0.0]), rtol=1e-5, atol=0.0)
    noised = ours.scale_noise(torch.zeros(2, 3), ours.timesteps[1:], torch.ones(2, 3))
    close(noised, torch.full((2, 3), 0.75))
