"""Where the story stands, and what moved it last: one answer for whoever looks once. Store -> analysis -> answer."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from models.derived import ShiftCause, ShiftPoint
from models.errors import BadInput
from services.series import Question, shift
from services.shift_events import why

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StateNow:
    point: ShiftPoint
    """The latest day on which θ speaks; the latest day at all while it does not."""
    before: ShiftPoint | None
    """The last such day before it."""
    sentence: str
    """What moved θ on the last whole day on which it speaks, or why that cannot be told."""
    causes: list[ShiftCause]
    """By narrative and outlet, the largest part first."""
    meta: dict[str, Any]
    """`from` and `to`: the days between which the sentence tells the move."""


def state_now(session: Session, question: Question, *, now: datetime) -> StateNow:
    """Of the question, `as_of`, `tagger`, `outlet` and `prior_rates` are used. Raises: UnknownName, BadRange."""
    asked = replace(question, start=None, end=None, bucket="day")
    answer = shift(session, asked, now=now)
    spoken = [row for row in answer.rows if row.index is not None]
    point, before = (spoken or answer.rows)[-1], spoken[-2] if len(spoken) > 1 else None
    starts = [row.bucket_start for row in spoken if row.bucket_start + DAY <= answer.meta["as_of"]]
    start = starts[-1] if starts else point.bucket_start
    try:
        moved = why(session, replace(asked, start=start, end=start + DAY), now=now)
    except BadInput as error:
        return StateNow(point, before, str(error), [], answer.meta)
    days = {name: moved.meta[name] for name in ("from", "to")}
    return StateNow(point, before, moved.meta["sentence"], moved.rows, answer.meta | days)
