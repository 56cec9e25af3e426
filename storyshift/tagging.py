"""`storyshift tag --input`: JSON lines in, JSON lines out, in order, with no database."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from jobs.tag import live_tagger, read_line, result_line
from models.errors import BadFile, BadInput, BadRow
from models.tags import Text
from storyshift.output import say


def tag_stream(source: str, target: str) -> None:
    """Raises: BadFile if a file cannot be opened. A line that cannot be read is reported and left out."""
    named = "-" not in (source, target) and Path(source).exists() and Path(target).exists()
    if named and Path(source).samefile(target):
        raise BadInput(f"--output {target} is the input itself; name another file.")
    tagger = live_tagger()
    refused: list[BadRow] = []
    with ExitStack() as stack:
        lines = sys.stdin.buffer if source == "-" else stack.enter_context(_open(source, "rb"))
        out = sys.stdout.buffer if target == "-" else stack.enter_context(_open(target, "wb"))
        for tagged in tagger.tag(_texts(lines, source, refused)):
            out.write(json.dumps(result_line(tagged, tagger.name), ensure_ascii=False).encode() + b"\n")
        out.flush()
    if refused:
        say(f"{len(refused)} lines refused.")


def _texts(lines: IO[bytes], source: str, refused: list[BadRow]) -> Iterator[Text]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield read_line(source, number, line.decode("utf-8-sig"))
        except (BadRow, UnicodeDecodeError) as error:
            bad = error if isinstance(error, BadRow) else BadRow(source, number, "is not UTF-8 text.")
            refused.append(bad)
            say(f"refused: {bad}")


def _open(path: str, mode: str) -> IO[bytes]:
    try:
        return Path(path).open(mode)
    except OSError as error:
        raise BadFile(path, f"cannot be opened ({error.strerror}).") from None
