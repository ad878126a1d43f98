"""Any integrator as a scheduler: the same numbers as diffusers' own, in its own pipelines."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")

import diffusers
from diffusers import DDIMPipeline, DDPMPipeline, DiffusionPipeline, UNet2DModel
from hypothesis import given, settings
from hypothesis import strategies as st

import sdeplug as sp
from sdeplug_diffusers import (
    IntegratorScheduler,
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
    as_scheduler,
    score_of,
)

# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

close = torch.testing.assert_close
SIZE = 6
MATRIX = 0.3 * torch.randn(
    SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
)


def network(x, label):
    """Not linear, in the state or in the label."""
    return torch.tanh(x.flatten(1) @ MATRIX.to(x.dtype) + float(label) / 1000.0).reshape(x.shape)


def start(rows=4):
    return torch.randn(rows, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(9))


def run(scheduler, x, draws=True, **options):
    """The loop of a pipeline, with all states on the way."""
    generator = torch.Generator().manual_seed(1)
    more = {**options, "generator": generator} if draws else options
    states, x = [], x * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, t), t)
        x = scheduler.step(output, t, x, **more).prev_sample
        states.append(x)
    return states


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


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 999), min_size=1, max_size=9, unique=True), st.booleans())
def test_any_timesteps_fall_and_are_told(labels, heun):
    scheduler = as_scheduler("ode/heun" if heun else "ode/euler")
    labels = sorted(labels, reverse=True)
    scheduler.set_timesteps(timesteps=labels)
    assert sorted(set(scheduler.timesteps.tolist()), reverse=True) == labels
    assert len(scheduler.timesteps) == scheduler.order * (len(labels) - 1) + 1
    assert len(scheduler.sigmas) == len(scheduler.timesteps) + 1
    cumprod = (1.0 - scheduler_betas()).cumprod(0)
    ratios = ((1.0 - cumprod) / cumprod).sqrt()[scheduler.timesteps]
    close(scheduler.sigmas[:-1], ratios.float(), rtol=1e-5, atol=0.0)


def scheduler_betas():
    return diffusers.DDPMScheduler().betas.double()


def test_sigmas_are_those_that_were_asked_for():
    scheduler = as_scheduler("exponential/ddim")
    scheduler.set_timesteps(sigmas=[14.0, 3.0, 0.5, 0.0])
    close(scheduler.sigmas, torch.tensor([14.0, 3.0, 0.5, 0.0]), rtol=1e-6, atol=0.0)


def test_half_precision_keeps_its_dtype_and_the_memory():
    scheduler = as_scheduler("exponential/dpmpp-2m")
    results = {}
    for dtype in (torch.float32, torch.float16):
        scheduler.set_timesteps(8)
        x = start().to(dtype)
        for t in scheduler.timesteps:
            x = scheduler.step(network(x.float(), t).to(dtype), t, x).prev_sample
        assert x.dtype == dtype
        results[dtype] = x.float()
    close(results[torch.float16], results[torch.float32], rtol=1e-2, atol=1e-2)


def test_a_changed_state_keeps_the_memory_and_what_was_returned():
    """As in inpainting: a copy of the state leaves the run, and old states, as they were."""
    scheduler = as_scheduler("exponential/dpmpp-2m")
    scheduler.set_timesteps(8)
    plain = run(scheduler, start())
    scheduler.set_timesteps(8)
    x, seen = start(), []
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x).prev_sample
        seen.append((x, x.clone()))
        x = x.clone()
    close(x, plain[-1], rtol=0.0, atol=0.0)
    for kept, before in seen:
        assert torch.equal(kept, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_state_written_to_is_taken_as_it_is(dtype):
    """What is written into the returned tensor counts, in half precision too."""
    scheduler = as_scheduler("exponential/ddim")
    results = []
    for inside in (True, False):
        scheduler.set_timesteps(4)
        x = start().to(dtype)
        for t in scheduler.timesteps:
            x = scheduler.step(network(x.float(), t).to(dtype), t, x).prev_sample
            x = x.mul_(0.5) if inside else 0.5 * x
        results.append(x)
    close(*results, rtol=0.0, atol=0.0)


def test_a_call_that_failed_can_be_made_again():
    scheduler = as_scheduler("ode/heun")
    results = []
    for fails in (False, True):
        scheduler.set_timesteps(4)
        x = start()
        for t in scheduler.timesteps:
            if fails:
                with pytest.raises(sp.ScoreModelError):
                    scheduler.step(network(x, t).to("meta"), t, x)
            x = scheduler.step(network(x, t), t, x).prev_sample
        results.append(x)
    close(*results, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", ["ode/heun", "song/ancestral"])
def test_a_copy_goes_on_from_any_call(name):
    scheduler = as_scheduler(name)
    scheduler.set_timesteps(5)
    generator = torch.Generator().manual_seed(1)
    x = start()
    for number, t in enumerate(scheduler.timesteps):
        if number == 3:
            twin, y, state = copy.deepcopy(scheduler), x, generator.get_state()
        x = scheduler.step(network(x, t), t, x, generator=generator).prev_sample
    generator.set_state(state)
    for t in twin.timesteps[3:]:
        y = twin.step(network(y, t), t, y, generator=generator).prev_sample
    close(y, x, rtol=0.0, atol=0.0)


def test_a_start_in_the_middle():
    """Image to image: from a begin index, and from a timestep, as pipelines do."""
    scheduler = as_scheduler("exponential/unipc")
    results = []
    for told in (True, False):
        scheduler.set_timesteps(8)
        if told:
            scheduler.set_begin_index(3)
        x = scheduler.add_noise(torch.zeros(4, SIZE).double(), start(), scheduler.timesteps[3:4])
        for t in scheduler.timesteps[3:]:
            x = scheduler.step(network(x, t), t, x).prev_sample
        results.append(x)
    close(*results, rtol=0.0, atol=0.0)
    assert scheduler.step_index == 8


def test_data_with_noise_are_those_of_diffusers():
    x, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    labels = torch.tensor([3, 998])
    expected = diffusers.DDPMScheduler().add_noise(x, noise, labels)
    close(as_scheduler("ode/euler").add_noise(x, noise, labels), expected, rtol=1e-4, atol=1e-4)


def test_configuration_goes_through_a_folder(tmp_path):
    scheduler = as_scheduler(sp.solver("exponential/deis", order=2), steps_offset=1)
    scheduler.save_pretrained(tmp_path)
    found = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert found["solver"] == sp.to_spec(sp.solver("exponential/deis", order=2))
    back = IntegratorScheduler.from_pretrained(tmp_path)
    assert back.config.steps_offset == 1
    for each in (back, scheduler):
        each.set_timesteps(5)
    close(run(back, start())[-1], run(scheduler, start())[-1], rtol=0.0, atol=0.0)


def test_from_the_configuration_of_another_scheduler():
    theirs = diffusers.DPMSolverMultistepScheduler(beta_schedule="scaled_linear", beta_end=0.012)
    ours = IntegratorScheduler.from_config(theirs.config, solver="exponential/sa-solver")
    close(torch.tensor(ours.schedule.sde.betas, dtype=torch.float64), theirs.betas.double())


@pytest.mark.parametrize(
    ("name", "words", "shift"),
    [
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, 3.0),
        ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 2.0}, 2.0),
    ],
)
def test_from_the_configuration_of_flow_matching(name, words, shift):
    ours = IntegratorScheduler.from_config(getattr(diffusers, name)(**words).config)
    assert ours.config.prediction_type == "flow_prediction"
    assert ours.schedule.shift == shift
    back = IntegratorScheduler.from_config(ours.config, solver="ode/euler")
    assert back.schedule == ours.schedule


def test_a_configuration_of_another_schedule_is_refused():
    for other in (diffusers.EDMEulerScheduler(), diffusers.ScoreSdeVeScheduler()):
        with pytest.raises(sp.ArgumentError, match="table of betas, or of flow matching"):
            IntegratorScheduler.from_config(other.config)
    dynamic = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).config
    with pytest.raises(sp.ArgumentError, match="shift itself"):
        IntegratorScheduler.from_config(dynamic)
    fixed = IntegratorScheduler.from_config(dynamic, use_dynamic_shifting=False, shift=2.5)
    assert fixed.schedule.shift == 2.5


# In pipelines.


@pytest.fixture(scope="module")
def unet():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet2DModel(
            sample_size=8,
            block_out_channels=(8, 8),
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            norm_num_groups=4,
            layers_per_block=1,
        )


def images(pipeline, **options):
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    return pipeline(
        2, generator=generator, num_inference_steps=6, output_type="np", **options
    ).images


def test_in_a_pipeline(unet, tmp_path):
    ours = as_scheduler("exponential/ddim")
    theirs = diffusers.DDIMScheduler(clip_sample=False)
    expected = images(DDPMPipeline(unet, theirs))
    np.testing.assert_allclose(images(DDPMPipeline(unet, ours)), expected, atol=1e-4)
    pipeline = DDPMPipeline(unet, ours)
    pipeline.save_pretrained(tmp_path)
    back = DiffusionPipeline.from_pretrained(tmp_path)
    assert isinstance(back.scheduler, IntegratorScheduler)
    np.testing.assert_allclose(images(back), images(pipeline), atol=1e-6)
    heun = images(DDPMPipeline(unet, as_scheduler("ode/heun")))
    assert np.isfinite(heun).all()


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_in_a_pipeline_that_makes_a_scheduler_of_its_own(unet, eta):
    """It is given another one after that, and passes what its own one takes."""
    pipeline = DDIMPipeline(unet, diffusers.DDIMScheduler(clip_sample=False))
    expected = images(pipeline, eta=eta)
    name = "exponential/ddim" if eta == 0.0 else "song/ancestral"
    pipeline.scheduler = IntegratorScheduler.from_config(pipeline.scheduler.config, solver=name)
    np.testing.assert_allclose(images(pipeline, eta=eta), expected, atol=1e-4)


@pytest.mark.parametrize(
    "scheduler",
    [as_scheduler("exponential/ddim"), diffusers.FlowMatchEulerDiscreteScheduler()],
    ids=["ours", "flow"],
)
def test_the_score_of_a_pipeline(unet, scheduler):
    """What is trained on the schedule of the pipeline comes out with it."""

    class Holder:
        pass

    holder = Holder()
    holder.unet, holder.scheduler = unet, scheduler
    model = score_of(holder)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    t = 0.5
    marginal = model.sde.at(t)
    label = 499.0 if isinstance(model.sde, sp.TabulatedSDE) else 500.0
    with torch.no_grad():
        output = unet(x, torch.full((2,), label)).sample
        score = sp.ReverseSDE(model.sde, model.score).score(x, t)
    if isinstance(model.sde, sp.TabulatedSDE):
        close(score, -output / marginal.sigma, rtol=1e-4, atol=1e-4)
    else:
        clean = x - t * output
        close(score, (marginal.alpha * clean - x) / marginal.sigma**2, rtol=1e-4, atol=1e-4)


# Bad input.


@pytest.mark.parametrize("name", ["adaptive/row-dopri5", "torchdiffeq/dopri5"])
def test_what_cannot_be_cut_is_refused(name):
    with pytest.raises(sp.ArgumentError, match="score_of"):
        as_scheduler(name)


@pytest.mark.parametrize("by", [sp.solver("auto"), sp.solver("auto", nfe=5)])
def test_steps_that_remember_each_other_on_a_grid_of_their_own_are_not_cut(by):
    with pytest.raises(sp.ArgumentError, match="exponential/adams"):
        as_scheduler(by)


@pytest.mark.parametrize("count", [2.5, True, "5", 0, -1])
def test_a_number_of_steps_that_is_none_is_refused(count):
    for scheduler in (as_scheduler("ode/euler"), ScoreSdeVeScheduler(), ScoreSdeVpScheduler()):
        with pytest.raises(sp.ArgumentError, match=r"num_inference_steps = .*a whole number"):
            scheduler.set_timesteps(count)


def test_a_forward_sde_by_name_and_what_is_none():
    assert as_scheduler("ode/euler", sde="vp").schedule.sde == sp.VPSDE()
    with pytest.raises(sp.ArgumentError, match="a LinearSDE"):
        as_scheduler("ode/euler", sde=3)
    with pytest.raises(sp.ArgumentError, match="stochasticity = -1"):
        as_scheduler("song/ancestral", stochasticity=-1.0)
    scheduler = as_scheduler("song/ancestral")
    scheduler.set_timesteps(3)
    with pytest.raises(sp.ArgumentError, match=r"generator = 3: .*torch.Generator"):
        scheduler.step(start(), scheduler.timesteps[0], start(), generator=3)
    for made in (ScoreSdeVeScheduler, ScoreSdeVpScheduler):
        with pytest.raises(sp.ArgumentError, match="correct_steps = -1"):
            made(correct_steps=-1)
        with pytest.raises(sp.ArgumentError, match="sampling_eps = 2"):
            made(sampling_eps=2.0).set_timesteps(4)


def test_bad_input():
    with pytest.raises(sp.ArgumentError, match="prediction_type"):
        as_scheduler("ode/euler", prediction_type="velocity")
    scheduler = as_scheduler("ode/euler")
    for options in ({}, {"timesteps": [5, 1], "sigmas": [5.0]}):
        with pytest.raises(sp.ArgumentError, match="one of num_inference_steps"):
            scheduler.set_timesteps(**options)
    for timesteps in ([1, 5], [5, 5], []):
        with pytest.raises(sp.ArgumentError, match="strictly falling"):
            scheduler.set_timesteps(timesteps=timesteps)
    for sigmas in ([3.0, -1.0], [3.0, float("nan")], [0.0, 1.0]):
        with pytest.raises(sp.ArgumentError, match="above 0, the last may be 0"):
            scheduler.set_timesteps(sigmas=sigmas)
    with pytest.raises(sp.ArgumentError, match="shift = 0"):
        as_scheduler("ode/euler", prediction_type="flow_prediction", shift=0.0)
    with pytest.raises(sp.ArgumentError, match="label"):
        scheduler.set_timesteps(timesteps=[1000])
    scheduler.set_timesteps(4)
    x = start()
    scheduler.step(x, scheduler.timesteps[0], x)
    with pytest.raises(sp.ArgumentError, match="the one of step 1"):
        scheduler.step(x, scheduler.timesteps[2], x)
    for t in scheduler.timesteps[1:]:
        scheduler.step(x, t, x)
    with pytest.raises(sp.ArgumentError, match="none after the last"):
        scheduler.step(x, scheduler.timesteps[-1], x)
    with pytest.raises(sp.ArgumentError, match="integrator"):
        as_scheduler(sp.solver("song/langevin"))
