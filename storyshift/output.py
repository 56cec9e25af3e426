"""How the command line speaks: results on stdout, everything else on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from services.answers import Answer, Format, write


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def put(answer: Answer, form: Format) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(write(answer, form))
    if form == "json":
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def say_audit(answer: Answer) -> None:
    """Whether and how far the random audit corrects what is told, and what lies below its floor."""
    audit = answer.meta.get("audit", [])
    for label in audit:
        if label.corrected or label.below_floor:
            say(f"audit: {label.sentence}")
    as_tagged = [label.key for label in audit if not label.corrected]
    if as_tagged:
        read = max(label.n for label in audit)
        say(f"audit: as tagged: {', '.join(as_tagged)} ({read} stories read at random; see `storyshift quality`).")


def put_json(document: Any) -> None:
    import json

    from services.answers import plain

    print(json.dumps(document, ensure_ascii=False, default=plain))


@contextmanager
def progress(title: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, told (done, of); silent where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    count = [MofNCompleteColumn(), TextColumn(unit)] if unit else [TaskProgressColumn()]
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), *count, TimeRemainingColumn(), console=Console(stderr=True)
    )
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
