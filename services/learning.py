"""Learning from reviews: what a tagger may learn from, and by what it is judged. Store -> units.

reviewed wordings -> drawn at random, for whichever tagger: the exam, and never learned from, nor are copies of them
                  -> all others: lessons
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from analysis.audit import reached, weights
from config import definitions
from config.definitions import CORE_NARRATIVES
from models.reviews import EVERY_OTHER, StandingLabel
from models.store import reviews as review_store
from models.store.reviews import Wording
from nlp.units import Judgement, Unit, same_words

Labels = Mapping[tuple[str, str], StandingLabel]
"""By kind and key."""


@dataclass(frozen=True, slots=True)
class Exam:
    """weight: of what share of all stories it speaks; about 1 in all of them."""

    unit: Unit
    weight: float


@dataclass(frozen=True, slots=True)
class Reviewed:
    learn: list[Unit]
    exam: list[Exam]
    drawn: frozenset[str]
    """The words of all that was drawn at random, read or not; see nlp.units.same_words."""

    @property
    def exam_units(self) -> list[Unit]:
        return [one.unit for one in self.exam]

    @property
    def exam_weights(self) -> list[float]:
        return [one.weight for one in self.exam]


def reviewed_units(session: Session, *, now: datetime) -> Reviewed:
    """What reviewers have said, as it stands now.

    A wording is learned from where every narrative that the network learns was judged, and assets were; it is in the
    exam where every core narrative was. Articles that were taken down are in neither.
    """
    labels = {
        revision: {(label.kind, label.key): label for label in found}
        for revision, found in review_store.all_labels(session, as_of=now).items()
    }
    draws = review_store.all_draws(session, as_of=now)
    drawn = set(draws["revision_id"])
    texts = review_store.wordings(session, sorted(drawn | labels.keys()))
    core = [key for key in CORE_NARRATIVES if key in definitions.narratives()]
    read = {revision for revision in drawn & texts.keys() if _judged(labels.get(revision, {}), core)}
    turn_came = reached(draws, review_store.passed(session, sorted(drawn), as_of=now))
    weight = weights(
        draws.assign(read=draws["revision_id"].isin(read) & turn_came),
        review_store.round_sizes(session, as_of=now),
    )["weight"]
    examined = [texts[revision] for revision in sorted(drawn & texts.keys())]
    articles, stories = {one.article_id for one in examined}, {one.story_id for one in examined} - {None}
    words = frozenset(same_words(text) for one in examined for text in (one.title, one.text))
    learned = definitions.learned_narratives()
    lessons: dict[str, Unit] = {}
    for revision, said in labels.items():
        text = texts.get(revision)
        if text is None or text.article_id in articles or text.story_id in stories or is_among(text.text, words):
            continue
        if ("asset", EVERY_OTHER) in said and _judged(said, learned):
            lessons[same_words(text.text)] = _unit(text, said, learned)
    exam = [Exam(_unit(texts[one], labels[one], learned), float(weight[one])) for one in sorted(weight.index)]
    return Reviewed(list(lessons.values()), exam, words)


def without_reviewed(units: Sequence[Unit], reviewed: Reviewed) -> tuple[list[Unit], int, int]:
    """Those whose text nothing of the exam and no lesson has; how many of each were left out.

    A text of which there is a review is told by the review.
    """
    lessons = {same_words(unit.text) for unit in reviewed.learn}
    unexamined = [unit for unit in units if not is_among(unit.text, reviewed.drawn)]
    kept = [unit for unit in unexamined if same_words(unit.text) not in lessons]
    return kept, len(units) - len(unexamined), len(unexamined) - len(kept)


def is_among(text: str, words: frozenset[str]) -> bool:
    """Whether it, or its title alone, is one of the texts."""
    return same_words(text) in words or same_words(text.split(" — ")[0]) in words


def examples_of(session: Session, narrative: str, *, now: datetime) -> tuple[list[str], list[str]]:
    """Texts of which reviewers said that they tell the narrative, and that they do not. None that was drawn at random.

    The narrative need not be defined: the review of a search names one that is only wanted.
    """
    labels = review_store.labels_of_narrative(session, narrative, as_of=now)
    drawn = set(review_store.all_draws(session, as_of=now)["revision_id"])
    texts = review_store.wordings(session, sorted(labels.keys() - drawn))
    told = [text.text for revision, text in texts.items() if labels[revision]]
    return told, [text.text for revision, text in texts.items() if not labels[revision]]


def _judged(said: Labels, narratives: Sequence[str]) -> bool:
    return all(("narrative", key) in said for key in narratives)


def _unit(text: Wording, said: Labels, narratives: Sequence[str]) -> Unit:
    """The id says that it was reviewed: see nlp.training.RICH."""
    told = {key: said["narrative", key] for key in narratives if ("narrative", key) in said}
    assets = definitions.learned_assets()
    return Unit(
        id=f"review-{text.revision_id}",
        text=text.text,
        narratives={key: Judgement(label.direction or 0, label.modality) for key, label in told.items() if label.holds},
        assets={
            key: label.tone or 0
            for (kind, key), label in said.items()
            if kind == "asset" and label.holds and key in assets
        },
    )
