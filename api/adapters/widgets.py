"""widgets.json and apps.json of OpenBB Workspace, as it documents them: what can be shown, and one app that shows it.

A widget's key is its endpoint with _ for /; the Workspace fills in $currentDate itself, and sends no parameter that is
null.
"""

from typing import Any, get_args

from analysis.buckets import Bucket

Json = dict[str, Any]
BUCKETS: list[Bucket] = [bucket for bucket in get_args(Bucket) if bucket != "hour"]
START: Json = {"paramName": "start", "type": "date", "label": "Start", "value": None} | {
    "description": "First day (UTC). Default: a year before the end."
}
END: Json = {"paramName": "end", "type": "date", "label": "End", "value": None} | {
    "description": "The day after the last one. Default: just after the latest story."
}
AS_OF: Json = {"paramName": "as_of", "type": "date", "label": "As of", "value": None} | {
    "description": "Answer as it was known at the end of that day. Default: now."
}
BUCKET: Json = {
    "paramName": "bucket",
    "type": "text",
    "label": "Bucket",
    "value": "day",
    "description": "Width of a bucket; weeks begin on Monday.",
    "options": [{"label": bucket.capitalize(), "value": bucket} for bucket in BUCKETS],
}
ASSET: Json = {
    "paramName": "asset",
    "type": "endpoint",
    "label": "Asset",
    "value": "BTC",
    "description": "Of which asset.",
    "optionsEndpoint": "openbb/assets",
}
NARRATIVE: Json = {
    "paramName": "narrative",
    "type": "endpoint",
    "label": "Narrative",
    "value": None,
    "description": "Default: the core narratives (of articles: any, or none).",
    "optionsEndpoint": "openbb/narratives",
}
LIMIT: Json = {"paramName": "limit", "type": "number", "label": "Articles", "value": 30} | {
    "description": "At most so many, 1 to 200."
}
SERIES = [START, END, BUCKET, AS_OF]


def _widget(name: str, endpoint: str, kind: str, size: tuple[int, int], description: str, **more: Any) -> Json:
    about = {"name": name, "description": description, "category": "Narratives", "source": ["Storyshift"]}
    return about | {"endpoint": endpoint, "type": kind, "gridData": {"w": size[0], "h": size[1]}} | more


def _table(*columns: Json, key: str | None = None) -> Json:
    table = {"table": {"showAll": False, "columnsDefs": list(columns)}}
    return {"dataKey": key} | table if key else table


def _text(field: str, header: str, **more: Any) -> Json:
    return {"field": field, "headerName": header, "cellDataType": "text"} | more


def _number(field: str, header: str, places: int = 2, tooltip: str = "") -> Json:
    column = {"field": field, "headerName": header, "cellDataType": "number"}
    more = {"formatterFn": "none", "decimalPlaces": places} if places else {"formatterFn": "int"}
    return column | more | ({"headerTooltip": tooltip} if tooltip else {})


def _day(field: str, header: str) -> Json:
    return {"field": field, "headerName": header, "cellDataType": "dateString"}


_LOG = "Logarithmic return."
_BAND = "90 % interval."
_ALL = [
    _widget(
        "Where the story stands",
        "openbb/now",
        "metric",
        (40, 5),
        "State of the story, θ between panic (0) and devaluation (1) with its 90 % interval, and what it rests on.",
        params=[AS_OF],
    ),
    _widget(
        "θ and states",
        "openbb/shift",
        "chart",
        (24, 14),
        "θ between panic (0) and devaluation (1) with its 90 % band; the colour of a point is the state of the story.",
        raw=True,
        params=SERIES,
    ),
    _widget(
        "Triggers",
        "openbb/triggers",
        "table",
        (16, 14),
        "The six triggers: off, forming, on or unknown, since when, and why.",
        data=_table(
            _text("name", "Trigger", pinned="left"),
            _text("state", "State"),
            _day("since", "Since"),
            _text("sentence", "Why", width=520),
        ),
        params=[AS_OF],
    ),
    _widget(
        "Shifts of the story",
        "openbb/shift-events",
        "table",
        (40, 9),
        "When the story shifted, as it was detected, what moved it, and what bitcoin, gold and silver did since.",
        data=_table(
            _day("detected_at", "Detected"),
            _day("happened_at", "Happened"),
            _text("before", "From"),
            _text("state", "To"),
            _number("probability", "P"),
            _number("index_before", "θ before"),
            _number("index", "θ"),
            _text("moved_by", "Moved by"),
            _number("n_stories", "Stories", 0),
            _number("return_btc", "BTC since", 3, _LOG),
            _number("return_gold", "Gold since", 3, _LOG),
            _number("return_silver", "Silver since", 3, _LOG),
        ),
        params=[START, END, AS_OF],
    ),
    _widget(
        "Narrative intensity",
        "openbb/intensity",
        "chart",
        (40, 14),
        "The share of the stories that carry each narrative, with its 90 % interval on hover.",
        raw=True,
        params=[NARRATIVE, *SERIES],
    ),
    _widget(
        "Articles",
        "openbb/articles",
        "newsfeed",
        (40, 16),
        "The latest articles, with the narratives and assets that were found in each.",
        params=[NARRATIVE, START, END, AS_OF, LIMIT],
    ),
    _widget(
        "Story beside the price",
        "v1/joined",
        "table",
        (40, 14),
        "θ and the core intensities beside what an asset did in each bucket and next, without look-ahead.",
        data=_table(
            _day("bucket_start", "Bucket"),
            _number("index", "θ"),
            _text("state", "State"),
            _number("safe_haven", "Safe haven", 3),
            _number("debasement", "Debasement", 3),
            _number("liquidity", "Liquidity", 3),
            _number("fiscal_stress", "Fiscal stress", 3),
            _number("n_stories", "Stories", 0),
            _number("close", "Close"),
            _number("return_same", "In it", 4, _LOG),
            _number("return_next", "Next", 4, f"{_LOG} From the first close at or after the bucket's end."),
            key="data",
        ),
        params=[ASSET, *SERIES],
    ),
    _widget(
        "Tone of an asset's news",
        "v1/tone",
        "table",
        (20, 12),
        "Mean tone of the stories about an asset, -1 to 1, with its 90 % interval and their disagreement.",
        data={
            "dataKey": "data",
            "table": {
                "showAll": False,
                "enableCharts": True,
                "chartView": {
                    "enabled": True,
                    "chartType": "line",
                    "cellRangeCols": {"line": ["bucket_start", "tone", "low", "high"]},
                },
                "columnsDefs": [
                    _day("bucket_start", "Bucket") | {"chartDataType": "time"},
                    _number("tone", "Tone") | {"chartDataType": "series"},
                    _number("low", "Low", 2, _BAND) | {"chartDataType": "series"},
                    _number("high", "High", 2, _BAND) | {"chartDataType": "series"},
                    _number("disagreement", "Disagreement") | {"chartDataType": "excluded"},
                    _number("n_stories", "Stories", 0) | {"chartDataType": "excluded"},
                ],
            },
        },
        params=[ASSET, *SERIES],
    ),
    _widget(
        "Does the news lead?",
        "openbb/lead-lag",
        "table",
        (20, 12),
        "θ and the core narratives beside an asset's returns: leads, lags or neither, p adjusted for all of them.",
        data=_table(
            _text("driver", "Driver", pinned="left"),
            _text("verdict", "Verdict"),
            _number("p_adjusted", "p", 3, "Adjusted for all drivers."),
            _number("peak_lag", "Lag", 0, "Buckets; positive: the news comes first."),
            _number("estimate", "r"),
            _number("low", "Low", 2, _BAND),
            _number("high", "High", 2, _BAND),
            _number("n", "n", 0),
            _text("sentence", "In words", width=520),
        ),
        params=[ASSET, *SERIES],
    ),
]
WIDGETS: dict[str, Json] = {widget["endpoint"].replace("/", "_"): widget for widget in _ALL}
_PATHS = ["widgets.json", "apps.json", ASSET["optionsEndpoint"], NARRATIVE["optionsEndpoint"]]
READ = frozenset(f"/{path}" for path in [*_PATHS, *(widget["endpoint"] for widget in _ALL)])
"""All that the Workspace asks for."""


def _tab(key: str, name: str, *rows: tuple[str, ...]) -> Json:
    """Widgets in rows from the top, each row as high as its highest."""
    layout, y = [], 0
    for row in rows:
        x, height = 0, max(WIDGETS[widget]["gridData"]["h"] for widget in row)
        for widget in row:
            groups = ["Group 1"] if ASSET in WIDGETS[widget].get("params", ()) else []
            width = WIDGETS[widget]["gridData"]["w"]
            layout.append({"i": widget, "x": x, "y": y, "w": width, "h": height, "groups": groups})
            x += width
        y += height
    return {"id": key, "name": name, "layout": layout}


APPS: list[Json] = [
    {
        "name": "Storyshift",
        "description": "When the story in financial news shifts from panic to devaluation, and what bitcoin does.",
        "img": "",
        "img_dark": "",
        "img_light": "",
        "allowCustomization": True,
        "tabs": {
            "now": _tab("now", "Now", ("openbb_now",), ("openbb_shift", "openbb_triggers"), ("openbb_shift-events",)),
            "story": _tab("story", "Story", ("openbb_intensity",), ("openbb_articles",)),
            "prices": _tab("prices", "Prices", ("v1_joined",), ("v1_tone", "openbb_lead-lag")),
        },
        "groups": [
            {
                "name": "Group 1",
                "type": "endpointParam",
                "paramName": "asset",
                "defaultValue": "BTC",
                "widgetIds": [key for key, widget in WIDGETS.items() if ASSET in widget.get("params", ())],
            }
        ],
        "prompts": [
            "Is the story shifting from panic to devaluation, and on how many stories does that rest?",
            "Which triggers are on, since when, and why?",
            "Does any narrative lead bitcoin, or can nothing be told?",
        ],
    }
]
