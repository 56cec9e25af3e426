"""What the numbers of rows are counted in, for whoever shows them: a column's name, and its unit in words.

A name that means the same in every row stands once; what a row type means by a name of its own stands under the type.
Light to import.
"""

SHARE = "share, 0 to 1"
THETA = "θ: 0 panic, 0.5 neutral, 1 devaluation"
TIMES = "times the usual rate; 1 is usual"
LOG_RETURN = "logarithmic return"
TONE = "tone, -1 to 1"
SHARE_OF_STORIES = "share of stories, 0 to 1"
AGAINST_THE_USUAL = "against the usual share of each outlet; 100 is usual"
P = "probability, 0 to 1"

EVERYWHERE = {
    "answered": "visits",
    "articles": "articles",
    "attempts": "visits",
    "close": "units of the asset's own currency",
    "coverage": "share of the visits to feeds that were answered, 0 to 1",
    "echo": "articles",
    "echoes": "articles",
    "entries_expected": "articles",
    "entries_new": "articles",
    "expected_days": "days",
    "expected_high": "articles",
    "expected_low": "articles",
    "failures": "visits in a row",
    "id": "number of the row",
    "article_id": "number of the article",
    "index": THETA,
    "index_as_tagged": THETA,
    "index_before": THETA,
    "index_without_liquidity": THETA,
    "last_status": "HTTP status",
    "n_articles": "articles",
    "n_bars": "closes",
    "n_carrying": "stories",
    "n_indexed": "outlets",
    "n_outlets": "outlets",
    "n_stories": "stories",
    "outlets_effective": "outlets",
    "p": P,
    "panic": TIMES,
    "devaluation": TIMES,
    "progress": "share of the history that is needed, 0 to 1",
    "revision_id": "number of the wording",
    "revisions": "wordings",
    "story_id": "number of the story",
}

OF = {
    "IntensityPoint": dict.fromkeys(("intensity", "low", "high", "keywords_intensity", "as_tagged"), SHARE_OF_STORIES),
    "TonePoint": dict.fromkeys(("tone", "low", "high", "as_tagged"), TONE)
    | {"disagreement": "standard deviation of tones, 0 to 1"},
    "ShiftPoint": {"low": THETA, "high": THETA, "p_devaluation": P},
    "ShiftCause": {"change": "change of θ", "ratio_before": TIMES, "ratio": TIMES},
    "ShiftEvent": {"probability": P} | dict.fromkeys(("return_btc", "return_gold", "return_silver"), LOG_RETURN),
    "JoinedPoint": dict.fromkeys(("safe_haven", "debasement", "liquidity", "fiscal_stress"), SHARE_OF_STORIES)
    | dict.fromkeys(("return_same", "return_next"), LOG_RETURN),
    "Lag": {"lag": "steps that the driver comes first"}
    | dict.fromkeys(("estimate", "low", "high"), "correlation, -1 to 1"),
    "EventWeek": {"week": "weeks after the event", "percentile": "per cent of the placebo's means below"}
    | dict.fromkeys(
        ("car", "low", "high", "placebo_mean", "placebo_low", "placebo_high"), "cumulative abnormal logarithmic return"
    ),
    "PricesView": {"n": "values"},
    "QualityRow": dict.fromkeys(
        (f"{what}{end}" for what in ("precision", "recall", "right_way") for end in ("", "_low", "_high")),
        "share of labels, 0 to 1",
    )
    | {"n": "stories", "floor": "precision, 0 to 1"}
    | dict.fromkeys(("n_labelled", "n_positive", "n_right"), "labels"),
    "CalibrationRow": dict.fromkeys(("low_score", "high_score", "told"), "score, 0 to 1")
    | dict.fromkeys(("holds", "low", "high"), SHARE_OF_STORIES)
    | {"n": "stories"},
    "ConfusionRow": {"n": "texts", "n_audited": "texts"},
    "AgreementRow": dict.fromkeys(("alpha", "low", "high"), "Krippendorff's alpha; 1 is agreement, 0 chance")
    | {"n": "texts", "n_reviewers": "reviewers", "agreed": "share of texts, 0 to 1"},
}


def units_of(row_type: str) -> dict[str, str]:
    """Units by column, of a row type named as in models.derived; those of other columns too, which it does not have."""
    return EVERYWHERE | OF.get(row_type, {})
