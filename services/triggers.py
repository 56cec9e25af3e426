"""How the six triggers stand, and what they rest on. Store -> analysis -> answer."""

from dataclasses import replace
from datetime import date, datetime

from sqlmodel import Session

from analysis.triggers import NARRATIVES, RARER, Known, Reading, readings
from config import definitions
from models.derived import ToldStory, TriggerState
from models.store import articles as article_store
from models.store import known as known_store
from models.store import prices as price_store
from services.answers import Answer
from services.series import Question, scope_of


def triggers(session: Session, question: Question, *, now: datetime) -> Answer:
    """All six as of the question's instant, with the stories they rest on. Raises: UnknownName, BadRange, ConfigError.

    Of the question, only `as_of` and `tagger` are used.
    """
    as_of = scope_of(session, question, now).as_of
    rows = [
        replace(reading.told, stories=[_story(session, story, as_of) for story in reading.story_ids])
        for reading in _readings(session, question.tagger, as_of)
    ]
    return Answer(TriggerState, rows, {"as_of": as_of, "tagger": question.tagger, "n": len(rows)})


def states(session: Session, trigger: str, tagger: str, *, as_of: datetime) -> list[tuple[date, str]]:
    """Each day and how the trigger stood at its end, by what was known then; the last day is that of `as_of`.

    Raises: ConfigError.
    """
    return all_states(session, tagger, as_of=as_of)[trigger]


def all_states(session: Session, tagger: str, *, as_of: datetime) -> dict[str, list[tuple[date, str]]]:
    """The same of every trigger. Raises: ConfigError."""
    found = _readings(session, tagger, as_of)
    return {one.told.trigger: list(zip(one.days.date, one.states, strict=True)) for one in found}


def _readings(session: Session, tagger: str, as_of: datetime) -> list[Reading]:
    rules = definitions.triggers()
    series = {rules.cutting.series, rules.weak_dollar.series, rules.fiscal_pressure.series, rules.real_yields.series}
    series |= {RARER[key] for key in series & RARER.keys()}
    assets = [*rules.metals_lead.metals, rules.metals_lead.lags]
    totals, carried = known_store.known_stories(session, as_of=as_of, tagger=tagger, narratives=list(NARRATIVES))
    known = Known(
        macro={key: price_store.read_points(session, key, as_of=as_of) for key in series},
        closes={key: known_store.first_bars(session, definitions.priced_as(key), as_of=as_of) for key in assets},
        totals=totals,
        carried=carried,
    )
    return readings(known, rules, as_of=as_of)


def _story(session: Session, story_id: int, as_of: datetime) -> ToldStory:
    lead = article_store.story_articles(session, story_id, as_of=as_of)[0]
    return ToldStory(story_id, lead.title, lead.outlet, lead.event_at)
