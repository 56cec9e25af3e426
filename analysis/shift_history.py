"""The record cut into spells, in hindsight: for looking back, never for testing. docs/methods/shift-events.md."""

import numpy as np
from numpy.typing import NDArray

from analysis.buckets import end_of
from analysis.shift import POLES, Poles, Record
from analysis.shift_events import LEVELS, state_of
from models.derived import ShiftSpell
from models.errors import BadInput

Array = NDArray[np.float64]
WEEK = 7
LEAST_WEEKS = 12
PENALTY = 2.0
"""What a cut must save, in units of log(weeks) and per narrative: BIC has 1; news is rougher than noise."""


def spells(record: Record, poles: Poles = POLES) -> list[ShiftSpell]:
    """Spells of like news, oldest first, in whole weeks from the first day with a usual rate on.

    Weekly counts, made of even variance by square roots (Anscombe), are cut where that fits best: PELT, penalised.
    Raises: BadInput where there are fewer than LEAST_WEEKS.
    """
    import ruptures

    first = int(np.argmax(record.ready)) if record.ready.any() else len(record.days)
    weeks = (len(record.days) - first) // WEEK
    if weeks < LEAST_WEEKS:
        raise BadInput(f"A history needs {LEAST_WEEKS} weeks with a usual rate; there are {weeks}.")
    told = _weekly(record.k.sum(axis=2), first, weeks)
    usual = _weekly(record.comparable.sum(axis=2) * np.nan_to_num(record.usual), first, weeks)
    spread = np.median(record.dispersion[:, first:], axis=1)[:, None]
    signal = 2 * (np.sqrt(told + 0.375) - np.sqrt(usual + 0.375)) / np.sqrt(spread)
    penalty = PENALTY * len(record.names) * np.log(weeks)
    cuts = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(signal.T).predict(pen=penalty)
    found = []
    for start, end in zip([0, *cuts[:-1]], cuts, strict=True):
        days = slice(first + start * WEEK, first + end * WEEK)
        ratio = (told[:, start:end].sum(axis=1) + 1) / (usual[:, start:end].sum(axis=1) + 1)
        ratios = dict(zip(record.names, ratio, strict=True))
        panic = float(np.mean([ratios[name] for name in poles.panic]))
        devaluation = float(np.mean([ratios[name] for name in poles.devaluation]))
        levels = {name: float(LEVELS[np.abs(np.log(LEVELS / one)).argmin()]) for name, one in ratios.items()}
        found.append(
            ShiftSpell(
                start=record.days[days.start].to_pydatetime(),
                end=end_of(record.days[days.stop - 1].to_pydatetime(), "day"),
                state=state_of(levels, poles),
                panic=round(panic, 4),
                devaluation=round(devaluation, 4),
                index=round(devaluation / (panic + devaluation), 4),
                n_stories=int(record.n_stories[days].sum()),
            )
        )
    return found


def _weekly(values: Array, first: int, weeks: int) -> Array:
    """Sums by week, shape (narratives, weeks)."""
    sums: Array = values[:, first : first + weeks * WEEK].reshape(len(values), weeks, WEEK).sum(axis=2)
    return sums
