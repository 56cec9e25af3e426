"""When the story shifted, told online: an event is published when it could be known. docs/methods/shift-events.md.

daily counts of each narrative -> a filter over its level (usual, or a multiple of it) -> P(state) by day
a state other than the last becomes likely enough -> an event, dated back to when that state had begun
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from analysis.shift import POLES, Poles, Record

Array = NDArray[np.float64]
LEVELS = np.array([1.0, 2.0, 4.0, 8.0])
"""Multiples of the usual rate that a narrative may be told at."""
RISES_AFTER_DAYS, FALLS_AFTER_DAYS, WANDERS_AFTER_DAYS = 60.0, 45.0, 20.0
"""How long a narrative stays at its usual level, or above it, on average; and at one level above it."""
RISES_TO = np.array([0.6, 0.3, 0.1])
SURE, LIKELY = 0.95, 0.7
"""An event is published when the last state is over with the first probability, and the new one is with the second."""
LEADS_BY = 2.0
"""Where both poles are elevated, one leads if its mass is more than so many times the other's."""
LOOKS_BACK_DAYS = 90
CALM = "calm"
STATES = (CALM, "panic", "transition", "devaluation")


@dataclass(frozen=True, slots=True)
class Found:
    """A shift: on `detected` (its end) the state was known to have become `to` on `happened`. Days, by place."""

    happened: int
    detected: int
    before: str
    to: str
    probability: float


def shifts(record: Record, poles: Poles = POLES) -> list[Found]:
    """The shifts of a record, oldest first. The first state is calm, unless another is sure."""
    said = np.stack([_likelihoods(record, place) for place in range(len(record.names))])
    filtered = _filtered(said)
    by_day = _of_states(filtered, poles)
    found: list[Found] = []
    state, since = None, 0
    for day in record.spoken.tolist():
        best = int(by_day[day].argmax())
        over = 1 - by_day[day, STATES.index(state)] if state else by_day[day, best]
        if by_day[day, best] < LIKELY or (over < SURE and (state is not None or STATES[best] != CALM)):
            continue
        if state is not None:
            first = max(since, day - LOOKS_BACK_DAYS)
            looked_back = _of_states(_smoothed(filtered[:, first : day + 1]), poles)[:, best]
            unlike = np.flatnonzero(looked_back < 0.5)
            happened = first + (int(unlike[-1]) + 1 if len(unlike) else 0)
            found.append(Found(happened, day, state, STATES[best], round(float(by_day[day, best]), 4)))
            since = happened
        state = STATES[best]
    return found


def _likelihoods(record: Record, place: int) -> Array:
    """log P(the day's count | level) up to a constant, shape (days, levels): over-dispersed Poisson counts."""
    k = record.k[place].sum(axis=1)[:, None]
    usual = (record.comparable[place].sum(axis=1) * record.usual[place])[:, None]
    mean = np.maximum(usual * LEVELS, 1e-9)
    spread = np.maximum(record.dispersion[place], 1.001)[:, None]
    size = mean / (spread - 1)
    log_p = gammaln(k + size) - gammaln(size) - size * np.log(spread) + k * np.log1p(-1 / spread)
    silent = np.isnan(usual) | (usual <= 0)
    return np.where(silent, 0.0, log_p)


def _moves() -> Array:
    """P(level tomorrow | level today), shape (levels, levels)."""
    upper = len(LEVELS) - 1
    moves = np.zeros((len(LEVELS), len(LEVELS)))
    moves[0, 1:] = RISES_TO / RISES_AFTER_DAYS
    moves[1:, 0] = 1 / FALLS_AFTER_DAYS
    for level in range(1, upper + 1):
        near = [other for other in (level - 1, level + 1) if 1 <= other <= upper]
        moves[level, near] = 1 / WANDERS_AFTER_DAYS / len(near)
    return moves + np.diag(1 - moves.sum(axis=1))


MOVES = _moves()


def _filtered(said: Array) -> Array:
    """P(level | counts up to the day), shape (narratives, days, levels)."""
    odds = np.exp(said - said.max(axis=2, keepdims=True))
    found = np.empty_like(said)
    now = np.tile(np.array([0.9, 0.06, 0.03, 0.01]), (len(said), 1))
    for day in range(said.shape[1]):
        now = now @ MOVES * odds[:, day]
        now /= now.sum(axis=1, keepdims=True)
        found[:, day] = now
    return found


def _smoothed(filtered: Array) -> Array:
    """P(level | counts up to the last of these days), shape as `filtered`."""
    found = filtered.copy()
    for day in range(filtered.shape[1] - 2, -1, -1):
        ahead = filtered[:, day] @ MOVES
        found[:, day] *= (found[:, day + 1] / ahead) @ MOVES.T
    return found


def _of_states(levels: Array, poles: Poles) -> Array:
    """P(state), shape (days, states), from those of the narratives' levels, which are independent given the counts."""
    found = np.zeros((levels.shape[1], len(STATES)))
    for combination in product(range(len(LEVELS)), repeat=len(levels)):
        likely = np.prod([levels[place, :, level] for place, level in enumerate(combination)], axis=0)
        found[:, STATES.index(state_of(dict(zip(poles.all, LEVELS[list(combination)], strict=True)), poles))] += likely
    return found


def state_of(levels: dict[str, float], poles: Poles = POLES) -> str:
    """The state in which narratives stand at these multiples of their usual rates."""
    panic = float(np.mean([levels[name] for name in poles.panic]))
    devaluation = float(np.mean([levels[name] for name in poles.devaluation]))
    panic_on, devaluation_on = panic > 1, devaluation > 1
    doubted = any(levels[name] > 1 for name in poles.money_doubted)
    if not panic_on and not devaluation_on:
        return CALM
    if (panic_on and panic > LEADS_BY * devaluation) or not devaluation_on:
        return "panic"
    if doubted and (not panic_on or devaluation > LEADS_BY * panic):
        return "devaluation"
    return "transition"
