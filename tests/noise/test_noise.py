"""Philox, noise sources and Brownian paths.  Statistical tests have fixed seeds, and a false-alarm
rate of FALSE_ALARM were the seeds drawn afresh."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from noise.numbers import SOURCES, assert_normal, assert_uncorrelated, like

from sdeplug.errors import ArgumentError
from sdeplug.noise import PerSampleNoise, SharedNoise, Silence, philox

IDS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5)
WORDS = st.integers(0, 2**32 - 1)


def philox_in_integers(counter: tuple[int, ...], key: int) -> list[int]:
    """Salmon et al., figure 5, in Python's integers."""
    c, k = list(counter), [key % 2**32, key >> 32]
    for _ in range(10):
        first, second = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [
            (second >> 32) ^ c[1] ^ k[0],
            second % 2**32,
            (first >> 32) ^ c[3] ^ k[1],
            first % 2**32,
        ]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


@pytest.mark.parametrize(
    ("counter", "key", "wanted"),
    [
        ("00000000 00000000 00000000 00000000", 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            0x299F31D0A4093822,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, wanted):
    words = torch.tensor([int(word, 16) for word in counter.split()])
    assert " ".join(f"{word:08x}" for word in philox.philox(words, key).tolist()) == wanted


@given(
    st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=4),
    st.integers(0, 2**64 - 1),
)
def test_philox_equals_integer_arithmetic(counters, key):
    words = philox.philox(torch.tensor(counters).T, key)
    assert words.T.tolist() == [philox_in_integers(counter, key) for counter in counters]


def test_the_rounds_in_torch_are_those_in_numpy():
    """Other devices have torch's: words of 64 bits with a sign."""
    words = torch.randint(0, 2**32, (2, 2, 50), generator=torch.Generator().manual_seed(1))
    there = philox._constants(2**64 - 3, torch.device("cpu"))
    here = philox._keys(2**64 - 3)
    assert torch.equal(philox._by_torch(words, *there), philox._by_numpy(words, here))


def test_normals_are_normal_and_uncorrelated():
    rows, draws = torch.arange(200).unsqueeze(1), torch.arange(50)
    values = philox.normals(12345, rows, draws, 10)
    assert values.shape == (200, 50, 10)
    assert_normal(values)
    assert_uncorrelated(values[1:], values[:-1])
    assert_uncorrelated(values[:, 1:], values[:, :-1])
    assert_uncorrelated(values[..., 1:], values[..., :-1])
    assert_uncorrelated(values, philox.normals(12346, rows, draws, 10))


@given(IDS, st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_a_normal_depends_on_its_place_alone(ids, draw, few, more):
    rows, draws = torch.tensor(ids), torch.tensor(draw)
    many = philox.normals(7, rows, draws, few + more)
    assert torch.equal(many[:, :few], philox.normals(7, rows, draws, few))
    assert torch.equal(many[-1:], philox.normals(7, rows[-1:], draws, few + more))


def test_extreme_words_give_finite_numbers(monkeypatch):
    for word in (0, 2**32 - 1):
        monkeypatch.setattr(philox, "philox", lambda counter, key, word=word: counter * 0 + word)
        values = philox.normals(0, torch.arange(2), torch.tensor(0), 4)
        assert values.isfinite().all()
        assert values.abs().max() < 6.8


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_noise_is_like_the_state(source, dtype):
    x = like(4, 2, 3, dtype=dtype)
    path = source.brownian(x, 1.0, 0.5)
    for noise in (
        source.normal(x),
        path.increment(0.9, 0.6),
        source.walk(x, 1.0).ahead(np.full(4, 0.7)),
    ):
        assert (noise.shape, noise.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: type(each).__name__)
def test_the_global_generator_is_left_alone(source):
    before = torch.random.get_rng_state()
    source.normal(like(4))
    source.brownian(like(4), 1.0, 0.0).increment(0.3, 0.2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("make", [SharedNoise, lambda seed: PerSampleNoise(seed, range(4))])
def test_a_source_repeats_itself_and_is_fresh_each_time(make):
    first, again, other = make(3), make(3), make(4)
    draws = [first.normal(like(4)) for _ in range(3)]
    assert all(torch.equal(draw, again.normal(like(4))) for draw in draws)
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(draws, 2))
    assert not torch.equal(draws[0], other.normal(like(4)))
    paths = [first.brownian(like(4), 1.0, 0.0).increment(0.7, 0.1) for _ in range(2)]
    assert torch.equal(paths[0], again.brownian(like(4), 1.0, 0.0).increment(0.7, 0.1))
    assert not torch.equal(*paths)
    assert not torch.equal(paths[0], other.brownian(like(4), 1.0, 0.0).increment(0.7, 0.1))


@given(st.lists(st.sampled_from([1, 3, 5, 700, 3000]), min_size=1, max_size=20))
def test_a_draw_is_that_of_its_number_whatever_is_drawn_around_it(counts):
    source, ids = PerSampleNoise(3, (5, 2)), torch.tensor([5, 2])
    for number, count in enumerate(counts):
        drawn = source.normal(like(2, count, dtype=torch.float64))
        wanted = philox.normals(source._key, ids, torch.tensor(number), count)
        assert torch.equal(drawn, wanted)
        drawn.zero_()  # whoever has it may write to it


def test_a_draw_may_be_written_to_while_gradients_need_another():
    source, scale = PerSampleNoise(0, range(2)), torch.ones(2, 3, dtype=torch.float64)
    scale.requires_grad_()
    first = source.normal(scale)
    loss = (scale * first).sum()
    source.normal(scale).mul_(2.0)
    loss.backward()
    assert torch.equal(scale.grad, first)


@given(
    st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5),
    st.integers(0, 2**63 - 1),
    st.data(),
)
def test_a_row_depends_on_its_id_alone(ids, seed, data):
    chosen = data.draw(st.lists(st.integers(0, len(ids) - 1), min_size=1, max_size=5))
    whole = PerSampleNoise(seed, ids)
    part = PerSampleNoise(seed, [ids[i] for i in chosen])
    for _ in range(2):
        assert torch.equal(whole.normal(like(len(ids)))[chosen], part.normal(like(len(chosen))))
    all_rows = whole.brownian(like(len(ids)), 1.0, 0.2).increment(0.9, 0.3)
    assert torch.equal(
        all_rows[chosen], part.brownian(like(len(chosen)), 1.0, 0.2).increment(0.9, 0.3)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_row_does_not_depend_on_the_dtype(dtype):
    narrow = PerSampleNoise(0, range(4)).normal(like(4, dtype=dtype))
    assert torch.equal(narrow, PerSampleNoise(0, range(4)).normal(like(4)).to(dtype))


def test_per_sample_noise_is_normal_and_uncorrelated_between_rows_draws_and_seeds():
    source = PerSampleNoise(5, range(1000))
    first, second = source.normal(like(1000, 100)), source.normal(like(1000, 100))
    assert_normal(torch.cat((first, second)))
    assert_uncorrelated(first, second)
    assert_uncorrelated(first[1:], first[:-1])
    assert_uncorrelated(first, PerSampleNoise(6, range(1000)).normal(like(1000, 100)))


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "0", None])
def test_wrong_seeds_are_refused(seed):
    with pytest.raises(ArgumentError, match="seed = "):
        SharedNoise(seed)
    with pytest.raises(ArgumentError, match="seed = "):
        PerSampleNoise(seed, [0])
    with pytest.raises(ArgumentError, match="ids = "):
        PerSampleNoise(0, [0, seed])


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(3)])
def test_every_whole_number_in_range_is_a_seed(seed):
    assert SharedNoise(seed).normal(like(2)).isfinite().all()
    assert PerSampleNoise(seed, [seed]).normal(like(1)).isfinite().all()
    assert repr(SharedNoise(3)) == "SharedNoise(seed=3)"
    assert repr(PerSampleNoise(3, [1])) == "PerSampleNoise(seed=3, ids=(1,))"


def test_the_number_of_ids_is_that_of_the_rows():
    with pytest.raises(ArgumentError, match="ids"):
        PerSampleNoise(0, [])
    source = PerSampleNoise(0, [1, 2])
    for call in (source.normal, lambda x: source.brownian(x, 1.0, 0.0).increment(0.5, 0.1)):
        with pytest.raises(ArgumentError, match=r"ids = '2 numbers'.*\(3, 3\)"):
            call(like(3))
    with pytest.raises(ArgumentError, match="ids"):
        PerSampleNoise(0, [1]).normal(torch.tensor(0.0))


def test_silence_is_zero():
    assert not Silence().normal(like(2) + 1.0).any()
    assert not Silence().brownian(like(2), 1.0, 0.0).increment(0.9, 0.1).any()
