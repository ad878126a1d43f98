"""Mutants of any solver, by what changes between it and the world around it."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.compose import OnGrid
from sdeplug.solvers import Corrector, FlowIntegrator, Integrator
from sdeplug.testing.mutants import acts, again, chance, heard, seen, shaped, unsaid, when
from sdeplug.testing.mutants.defect import Defect, spoil
from sdeplug.testing.mutants.joined import Both, When
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.record import Mutant

Solver = Integrator | Corrector
Entry = tuple[str, Defect, str]
"""Name, mistake, and the checks that are meant to see it."""

LAW = (
    "check_marginals check_corrector_invariance check_mixture_invariance check_nonlinear_order "
    "check_law_by_sampling"
)
_CONTRACT: tuple[Entry, ...] = (
    ("written-to-x", acts.InPlace(), "check_memory"),
    ("promoted", acts.Promoted(), "check_shapes_and_dtypes"),
    ("squeezed", acts.Squeezed(), "check_shapes_and_dtypes"),
    ("misaligned", acts.Misaligned(), "check_shapes_and_dtypes"),
    ("batch-centred", acts.Centred(), "check_batch_independence"),
    ("rows-leak", acts.Leaking(), "check_permutation check_batch_independence"),
    ("batch-size", acts.BatchSize(), "check_batch_independence"),
)
_EVALUATING: tuple[Entry, ...] = (
    ("extra-evaluation", acts.ExtraEvaluation(), "check_evaluations"),
    ("score-below-the-span", acts.Outside(), "check_score_times"),
    ("score-at-098-t", seen.TimeTimes(0.98), f"check_score_times {LAW}"),
    ("score-time-tabulated", seen.TimeTabulated(), "check_score_times"),
    ("score-time-in-float32", seen.TimeInFloat32(), "check_score_times"),
    ("half-score", seen.ScoreTimes(0.5), LAW),
    ("double-score", seen.ScoreTimes(2.0), LAW),
    ("score-of-other-sign", seen.ScoreTimes(-1.0), LAW),
)
_DRAWING: tuple[Entry, ...] = (
    ("noise-of-torch", heard.Global(), "check_randomness"),
    ("noise-of-python", heard.Python(), "check_randomness"),
    ("noise-of-its-own", heard.Seeded(), "check_stochastic_claim check_randomness"),
    ("noise-shared-by-rows", heard.SharedByRows(), LAW),
    ("noise-of-neighbours", heard.SharedByNeighbours(), "check_batch_independence"),
    ("antithetic-rows", heard.Antithetic(), LAW),
    ("half-noise", heard.Scaled(0.5), LAW),
    ("double-noise", heard.Scaled(2.0), LAW),
)
_AFFINE: tuple[Entry, ...] = (
    ("in-float32", acts.InFloat32(), "check_affine"),
    ("data-clipped", seen.ClippedData(3.0), "check_affine"),
)
_AFFINE_NOISE: tuple[Entry, ...] = (
    ("uniform-noise", heard.Uniform(), "check_affine"),
    ("noise-clipped", heard.Clipped(3.0), "check_affine"),
)
_CURVED = "check_mixture_leaks check_nonlinear_order check_law_by_sampling"
_EXACT: tuple[Entry, ...] = (
    ("score-1-percent-large", seen.ScoreTimes(1.01), LAW),
    ("stops-early", acts.StopsEarly(), LAW),
    ("last-step-skipped", acts.SkipsLast(), "check_short_span"),
    ("step-of-before", acts.StepBefore(), "check_score_times"),
    ("nan-near-eps", acts.NanNearEps(), LAW),
    ("denoises-last", acts.DenoisesLast(), LAW),
    ("first-row-left", acts.FirstRowLeft(), LAW),
    ("score-smoothed", seen.Smoothed(), _CURVED),
)
_EXACT_NOISE: tuple[Entry, ...] = (
    ("noise-1-percent-large", heard.Scaled(1.01), LAW),
    ("noise-03-percent-small", heard.Scaled(0.997), LAW),
    ("noise-reused", heard.Reused(), LAW),
    ("noise-shared-by-coordinates", heard.SharedByCoordinates(), "check_rotation"),
    ("stochasticity-ignored", seen.FullStochasticity(), "check_stochasticity"),
    (
        "noise-5-percent-large-not-affine",
        Both(heard.Scaled(1.05), Promise("affine", False)),
        LAW,
    ),
)
_HALVES = "check_state_in_half_precision"
_HALF_PIPELINE = "check_pipeline_in_half_precision"
_SHAPES = "check_other_shapes check_coordinates"
_SHAPED: tuple[Entry, ...] = (
    ("channels-small", shaped.ChannelsSmall(), _SHAPES),
    ("batch-size-of-volumes", When(when.volumes, acts.BatchSize()), _SHAPES),
)
_SHAPED_SCORE: tuple[Entry, ...] = (
    ("score-transposed", shaped.ScoreTransposed(), _SHAPES),
    ("score-of-images", When(when.images, seen.ScoreTimes(0.99)), _SHAPES),
    ("score-in-float16", When(when.float16, seen.ScoreTimes(0.9)), _HALVES),
)
_SHAPED_NOISE: tuple[Entry, ...] = (
    ("channels-correlated", shaped.ChannelsCorrelated(), _SHAPES),
    ("channels-shared", shaped.ChannelsShared(), _SHAPES),
    ("noise-of-images", When(when.images, heard.Scaled(1.1)), _SHAPES),
    ("noise-of-sequences", When(when.sequences, heard.Scaled(1.01)), _SHAPES),
    ("noise-in-bfloat16", When(when.bfloat16, heard.Scaled(1.5)), _HALVES),
    ("noise-in-float16", When(when.float16, heard.Scaled(1.05)), _HALVES),
    ("noise-lost-in-bfloat16", When(when.bfloat16, heard.Scaled(0.0)), _HALVES),
)
_SHAPED_NOISE_OF_STEPS: tuple[Entry, ...] = (
    ("tail-small", shaped.TailSmall(), _SHAPES),
    ("noise-with-half-score", When(when.half_score, heard.Scaled(1.1)), _HALF_PIPELINE),
    ("no-noise-with-half-score", When(when.half_score, heard.Scaled(0.0)), _HALF_PIPELINE),
)
_PARTS = "check_parts"
_AGAIN: tuple[Entry, ...] = (
    ("starts-anew", again.StartsAnew(), _PARTS),
    ("own-stream", again.OwnStream(), _PARTS),
    ("next-seed", again.NextSeed(), _PARTS),
    ("first-noise-kept", again.Kept(), _PARTS),
)
_UNSAID: tuple[Entry, ...] = (
    ("corrects-unsaid", unsaid.Corrects(0.02), "check_many_short_steps"),
    ("corrects-a-little-unsaid", unsaid.Corrects(0.01), "check_many_short_steps"),
    ("shakes", unsaid.Shakes(1e-3), "check_many_short_steps"),
    ("shrinks", unsaid.Shrinks(), "check_many_short_steps"),
)
_MOMENTS = "check_moments"
_BY_CHANCE: tuple[Entry, ...] = (
    ("signs-2-percent-large", chance.Changed(chance.signs, 1.02), _MOMENTS),
    ("signs-1-percent-small", chance.Changed(chance.signs, 0.99), _MOMENTS),
    ("signs-uneven", chance.Changed(chance.uneven_signs), _MOMENTS),
    ("three-points-too-rare", chance.Changed(chance.rare_points), _MOMENTS),
    ("uniform-1-percent-large", chance.Changed(chance.uniform, 1.01), _MOMENTS),
    ("clipped-noise-not-affine", chance.Changed(chance.clipped), _MOMENTS),
    ("thinned-noise-1-percent-large", chance.Thinned(1.01), f"{_MOMENTS} check_mixture_leaks"),
)
_SECOND_ORDER: tuple[Entry, ...] = (("last-step-without-noise", heard.SilentLast(), LAW),)


def mutants_of(solver: Solver) -> tuple[Mutant, ...]:
    """Wrong variants of a right solver, whoever wrote it.

    What is left out are mistakes that it cannot make (in noise that it does not draw), and those
    that break no promise of it (a law slightly wrong, where it claims no order).

    Args:
        solver: an integrator or corrector that passes the checks.
    """
    return tuple(
        mutant(type(solver).__name__, name, defect.what, spoil(solver, defect), by)
        for name, defect, by in _entries(solver)
    )


def mutant(of: str, name: str, what: str, solver: Solver, by: str) -> Mutant:
    """A mutant, with the name of its right solver in its own."""
    return Mutant(f"{dashed(of)}-{name}", of, what, solver, tuple(by.split()))


def _entries(solver: Solver) -> Iterator[Entry]:
    claims = solver.claims
    evaluates, draws = claims.evaluations != 0, claims.stochastic
    yield from (each for each in _CONTRACT if not claims.couples_batch or "batch" not in each[2])
    if evaluates:
        yield from (each for each in _EVALUATING if claims.evaluations or "check_ev" not in each[2])
    if draws:
        yield from _DRAWING
    yield from _SHAPED
    yield from _SHAPED_SCORE if evaluates else ()
    yield from (*_SHAPED_NOISE, *_AGAIN) if draws else ()
    if claims.affine and evaluates:
        yield from _AFFINE
        yield from _AFFINE_NOISE if draws else ()
    if not has_exact_law(solver):
        return
    yield from _EXACT
    if draws and not isinstance(solver, FlowIntegrator):
        yield from _EXACT_NOISE
        yield from _SHAPED_NOISE_OF_STEPS
        yield from _BY_CHANCE
        yield from _UNSAID
    if draws and (claims.order or 0.0) >= 2.0:
        yield from _SECOND_ORDER


def has_exact_law(solver: Solver) -> bool:
    """Whether the harness knows what its law should be, to rounding, at any number of steps."""
    claims = solver.claims
    consistent = claims.order is not None and claims.floor is None and claims.affine
    return isinstance(solver, Integrator) and not isinstance(solver, OnGrid) and consistent


def dashed(name: str) -> str:
    """EulerMaruyama to euler-maruyama, strong_order to strong-order."""
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.replace("_", "-").strip("-")
