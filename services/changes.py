"""What changed from one wording to the next, word by word."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

Op = Literal["same", "removed", "added"]
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
MOST_PAIRS = 40_000
"""Pairs of the same word, one old and one new, that are weighed: what two texts of 2,000 words have."""


@dataclass(frozen=True, slots=True)
class Part:
    op: Op
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """A field that reads otherwise than before: what is same and added is the new text, same and removed the old."""

    field: str
    parts: list[Part]


def parts(old: str, new: str) -> list[Part]:
    """The new text against the old one. What lies between the first and the last change is told as one if it is too
    much to compare."""
    before, after = TOKEN.findall(old), TOKEN.findall(new)
    shorter = min(len(before), len(after))
    head = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    tail = next((n for n in range(shorter - head) if before[-1 - n] != after[-1 - n]), shorter - head)
    middle = _compared(before[head : len(before) - tail], after[head : len(after) - tail])
    return _joined([("same", after[:head]), *middle, ("same", after[len(after) - tail :])])


def _compared(before: list[str], after: list[str]) -> list[tuple[Op, list[str]]]:
    seen = Counter(after)
    if sum(seen[word] for word in before if not word.isspace()) > MOST_PAIRS:
        return [("removed", before), ("added", after)]
    found: list[tuple[Op, list[str]]] = []
    for tag, i, j, k, m in SequenceMatcher(str.isspace, before, after, autojunk=False).get_opcodes():
        if tag == "equal" and not "".join(after[k:m]).isspace():
            found.append(("same", after[k:m]))
        else:  # a blank between two changed words belongs to both
            found += [("removed", before[i:j]), ("added", after[k:m])]
    return found


def _joined(runs: list[tuple[Op, list[str]]]) -> list[Part]:
    """Between two runs of what is same, all that was removed before all that was added."""
    found: list[Part] = []
    for same, group in groupby(runs, lambda run: run[0] == "same"):
        told = list(group)
        ops: tuple[Op, ...] = ("same",) if same else ("removed", "added")
        for op in ops:
            text = "".join(word for kind, words in told if kind == op for word in words)
            if text:
                found.append(Part(op, text))
    return found
