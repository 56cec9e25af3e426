"""How the six triggers stand, and what they rest on. Store -> analysis -> answer."""

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from analysis.triggers import NARRATIVES, Known, readings
from config import definitions
from models.derived import TriggerState, TriggerStory
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
    rules = definitions.triggers()
    series = {rules.cutting.series, rules.weak_dollar.series, rules.fiscal_pressure.series, rules.real_yields.series}
    assets = [*rules.metals_lead.metals, rules.metals_lead.lags]
    totals, carried = known_store.known_stories(
        session, as_of=as_of, tagger=question.tagger, narratives=list(NARRATIVES)
    )
    known = Known(
        macro={key: price_store.read_points(session, key, as_of=as_of) for key in series},
        closes={key: known_store.first_bars(session, definitions.priced_as(key), as_of=as_of) for key in assets},
        totals=totals,
        carried=carried,
    )
    rows = [
        replace(reading.told, stories=[_story(session, story, as_of) for story in reading.story_ids])
        for reading in readings(known, rules, as_of=as_of)
    ]
    return Answer(TriggerState, rows, {"as_of": as_of, "tagger": question.tagger, "n": len(rows)})


def _story(session: Session, story_id: int, as_of: datetime) -> TriggerStory:
    lead = article_store.story_articles(session, story_id, as_of=as_of)[0]
    return TriggerStory(story_id, lead.title, lead.outlet, lead.event_at)
