"""Sampling against distributions written out by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fclocal.engine.request import Sampling
from fclocal.engine.sampling import NothingAllowed, Sampler, log_sum_exp

PROBABILITIES = np.array([0.5, 0.25, 0.125, 0.0625, 0.0625])
LOGITS = np.log(PROBABILITIES).astype(np.float32)


def counts(sampling: Sampling, allowed: np.ndarray | None = None, *, draws: int = 4000) -> dict[int, float]:
    sampler = Sampler(sampling)
    found = Counter(sampler.choose(LOGITS, allowed).token for _ in range(draws))
    return {token: count / draws for token, count in found.items()}


def test_greedy_takes_the_likeliest_and_the_first_of_equals() -> None:
    assert Sampler(Sampling()).choose(LOGITS, None).token == 0
    assert Sampler(Sampling()).choose(np.array([1, 3, 3], np.float32), None).token == 1


def test_temperature_one_draws_from_the_distribution() -> None:
    shares = counts(Sampling(temperature=1.0))
    assert all(abs(shares[token] - p) < 0.03 for token, p in enumerate(PROBABILITIES))


def test_temperature_flattens() -> None:
    flat = PROBABILITIES**0.5 / (PROBABILITIES**0.5).sum()
    shares = counts(Sampling(temperature=2.0))
    assert all(abs(shares[token] - p) < 0.03 for token, p in enumerate(flat))


@pytest.mark.parametrize(
    ("sampling", "left"),
    [
        (Sampling(temperature=1.0, top_k=2), {0, 1}),
        (Sampling(temperature=1.0, top_p=0.6), {0, 1}),
        (Sampling(temperature=1.0, top_p=0.5), {0}),
        (Sampling(temperature=1.0, top_p=0.0), {0}),
        (Sampling(temperature=1.0, min_p=0.2), {0, 1, 2}),
        (Sampling(temperature=1.0, min_p=1.0), {0}),
        (Sampling(temperature=1.0, top_k=4, top_p=0.9, min_p=0.2), {0, 1, 2}),
        (Sampling(temperature=1.0, logit_bias={0: -100, 4: 100}), {4}),
    ],
)
def test_filters_keep(sampling: Sampling, left: set[int]) -> None:
    assert set(counts(sampling, draws=500)) == left


def test_the_mask_comes_before_the_filters() -> None:
    allowed = np.array([False, False, True, True, True])
    assert set(counts(Sampling(temperature=1.0, top_k=1), allowed, draws=100)) == {2}
    assert Sampler(Sampling()).choose(LOGITS, allowed).token == 2


def test_the_logprob_is_that_of_the_unmasked_distribution() -> None:
    choice = Sampler(Sampling(), top_logprobs=2).choose(LOGITS, np.array([False, False, True, False, False]))
    assert choice.logprob == pytest.approx(np.log(0.125), abs=1e-6)
    assert choice.top == ((0, pytest.approx(np.log(0.5), abs=1e-6)), (1, pytest.approx(np.log(0.25), abs=1e-6)))


def test_nothing_allowed_is_said() -> None:
    for temperature in (0.0, 1.0):
        with pytest.raises(NothingAllowed):
            Sampler(Sampling(temperature=temperature)).choose(LOGITS, np.zeros(5, np.bool_))


def test_penalties_follow_their_definitions() -> None:
    logits = np.array([2.0, 1.9, -1.0], np.float32)
    assert Sampler(Sampling(repeat_penalty=2.0)).choose(logits, None, context=[0]).token == 1
    assert Sampler(Sampling(repeat_penalty=2.0)).choose(logits, None, context=[0] + [2] * 64).token == 0
    assert Sampler(Sampling(presence_penalty=0.2)).choose(logits, None, reply=[0]).token == 1
    assert Sampler(Sampling(frequency_penalty=0.06)).choose(logits, None, reply=[0]).token == 0
    assert Sampler(Sampling(frequency_penalty=0.06)).choose(logits, None, reply=[0, 0]).token == 1
    assert logits.tolist() == pytest.approx([2.0, 1.9, -1.0])


def test_a_forbidden_choice_is_credited_to_its_beginning() -> None:
    allowed = np.array([False, True, False, True, True])

    def credit(token: int, _allowed: np.ndarray) -> int | None:
        return 4 if token == 0 else None

    assert Sampler(Sampling(), credit=credit).choose(LOGITS, allowed).token == 4
    sampler = Sampler(Sampling(temperature=1.0), credit=credit)
    shares = Counter(sampler.choose(LOGITS, allowed).token for _ in range(4000))
    assert shares[4] / 4000 == pytest.approx(0.5 + 0.0625 + 0.125 / 6, abs=0.03)
    assert set(shares) == {1, 3, 4}


def test_an_attempt_has_its_own_randomness() -> None:
    def draws(attempt: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.0, seed=-3), attempt=attempt)
        return [sampler.choose(LOGITS, None).token for _ in range(50)]

    assert draws(0) == draws(0) != draws(1)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40),
    st.floats(0, 3),
    st.integers(0, 50),
    st.floats(0, 1),
    st.floats(0, 1),
    st.data(),
)
def test_any_setting_gives_an_allowed_token(
    values: list[float], temperature: float, top_k: int, top_p: float, min_p: float, data: st.DataObject
) -> None:
    logits = np.array(values, np.float32)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    allowed[data.draw(st.integers(0, len(values) - 1))] = True
    sampler = Sampler(Sampling(temperature, top_k, top_p, min_p), top_logprobs=3)
    choice = sampler.choose(logits, allowed)
    assert allowed[choice.token]
    assert choice.logprob <= 1e-6
    assert choice.logprob == pytest.approx(float(logits[choice.token]) - log_sum_exp(logits), abs=1e-5)
