"""Why θ moved: how much each narrative of each outlet contributed. docs/methods/shift-events.md.

θ = d / (p + d); the narratives' parts of Δθ, and within a narrative those of the outlets, add up to it exactly.
"""

import numpy as np
from numpy.typing import NDArray

from analysis.shift import POLES, Poles, Record
from models.derived import ShiftCause

Array = NDArray[np.float64]
FLAT = 1e-9
"""Two numbers nearer than this are one."""


def causes(record: Record, before: int, after: int, poles: Poles = POLES) -> list[ShiftCause]:
    """What moved θ from the end of one day to that of another (places in record.days), the largest part first.

    Each narrative's ratio r is 1 plus what each outlet told beyond its usual, over what was usual of all; Δθ is split
    over the ratios by logarithmic means, which leave no remainder. Source: Ang (2005), LMDI I.
    """
    excess = np.stack([_excess(record, day) for day in (before, after)])
    ratios = 1 + excess.sum(axis=2)
    names = record.names
    panic = [names.index(name) for name in poles.panic]
    devaluation = [names.index(name) for name in poles.devaluation]
    p, d = ratios[:, panic].mean(axis=1), ratios[:, devaluation].mean(axis=1)
    theta = d / (p + d)
    odds = np.log(d / p)
    slope = (theta[1] - theta[0]) / (odds[1] - odds[0]) if abs(odds[1] - odds[0]) > FLAT else theta[0] * (1 - theta[0])
    parts = np.zeros(len(names))
    parts[panic] = -slope / _logarithmic_mean(*p) / len(panic)
    parts[devaluation] = slope / _logarithmic_mean(*d) / len(devaluation)
    change = parts[:, None] * (excess[1] - excess[0])
    found = [
        ShiftCause(
            narrative=names[place],
            outlet=outlet,
            change=round(float(change[place, column]), 6),
            ratio_before=round(float(ratios[0, place]), 4),
            ratio=round(float(ratios[1, place]), 4),
        )
        for place in range(len(names))
        for column, outlet in enumerate(record.outlets)
        if abs(change[place, column]) > FLAT
    ]
    return sorted(found, key=lambda one: (-abs(one.change), one.narrative, one.outlet))


def _excess(record: Record, day: int) -> Array:
    """What each outlet told beyond its usual, as a share of the usual of all, shape (narratives, outlets)."""
    weights = record.weights(day)
    told = record.k[:, : day + 1].transpose(0, 2, 1) @ weights
    usual = record.comparable[:, : day + 1].transpose(0, 2, 1) @ weights * record.usual[:, day, None]
    excess: Array = (told - usual) / (usual.sum(axis=1, keepdims=True) + 1)
    return excess


def _logarithmic_mean(a: float, b: float) -> float:
    return float((b - a) / np.log(b / a)) if abs(b - a) > FLAT else float(a)
