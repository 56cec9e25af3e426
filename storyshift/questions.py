"""The options that every series takes, and the question they make."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadInput, nearest

if TYPE_CHECKING:
    from services.series import Question


class BucketName(StrEnum):
    hour = "hour"
    day = "day"
    week = "week"
    month = "month"


class WeightingName(StrEnum):
    story = "story"
    article = "article"


Start = Annotated[str | None, typer.Option(help="First day or instant, UTC. Default: a year before the end.")]
End = Annotated[str | None, typer.Option(help="End, exclusive. Default: just after the latest story.")]
BucketOption = Annotated[BucketName, typer.Option(help="Width of a bucket; weeks begin on Monday.")]
AsOf = Annotated[str | None, typer.Option(help="Answer as it was known then; a date means the end of that day.")]
Tagger = Annotated[str | None, typer.Option(help="Whose tags are counted, as name@revision.")]
Outlet = Annotated[str | None, typer.Option(help="Only this outlet's articles.")]
Weighting = Annotated[WeightingName, typer.Option(help="story: copies count once; article: each counts.")]
PriorRates = Annotated[
    bool,
    typer.Option(
        "--prior-rates", help="Let θ start from the usual rates of archives while the record has none of its own."
    ),
]


def refuse_strays(context: typer.Context) -> None:
    """Raises: BadInput if a word stands alone that is meant as a narrative."""
    if not context.args:
        return
    from config import definitions

    known = list(definitions.narratives())
    example = nearest(context.args[0], known) or known[0]
    raise BadInput(
        f"{context.args[0]!r} stands alone, but narratives go by --narrative: "
        f"`storyshift {context.info_name} --narrative {example}`."
    )


def question_of(
    start: str | None,
    end: str | None,
    bucket: BucketName,
    as_of: str | None,
    tagger: str | None,
    outlet: str | None,
    weighting: WeightingName = WeightingName.story,
    *,
    prior_rates: bool = False,
) -> "Question":
    from config.definitions import live_tagger_name
    from services.instants import parse_as_of, parse_bound
    from services.series import Question

    return Question(
        start=parse_bound(start, "--start"),
        end=parse_bound(end, "--end"),
        bucket=bucket.value,
        as_of=parse_as_of(as_of),
        tagger=tagger or live_tagger_name(),
        outlet=outlet,
        weighting=weighting.value,
        prior_rates=prior_rates,
    )
