"""Reviews as files over HTTP: all of them out, and those of a file in."""

import io
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from api.routes.articles import NO_KEY
from api.schemas import ErrorAnswer
from api.security import may_write, reviewer
from models.errors import BadInput
from services import review_files
from services.review_files import MEDIA_TYPES, FileFormat
from services.review_rows import Refusal

router = APIRouter(prefix="/v1", tags=["review"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}})
NO_ADMIN: dict[int | str, dict[str, Any]] = {403: {"model": ErrorAnswer, "description": "The key may only review."}}
FILE = {"required": True, "content": {kind: {} for kind in MEDIA_TYPES.values()}}


class Imported(BaseModel):
    """What became of a file. `no_article`: how many were refused because their text is not here."""

    imported: int
    known: int
    no_article: int
    refused: list[Refusal]


async def body_of(request: Request) -> bytes:
    return await request.body()


@router.get(
    "/reviews/export",
    dependencies=[Depends(reviewer)],
    response_class=StreamingResponse,
    responses=NO_KEY | {200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}},
)
def export_reviews(
    request: Request,
    format: Annotated[FileFormat, Query(description="JSON lines, or the tasks of Label Studio.")] = "jsonl",
    all: Annotated[bool, Query(description="Skipped and undone ones, and of texts taken down, too.")] = False,
) -> StreamingResponse:
    """All reviews, as `storyshift review export` writes them."""
    pieces = review_files.export(request.app.state.database, format, now=request.app.state.clock(), every=all)
    first = next(pieces, b"")  # so that a database that does not answer is an error, and not half a file
    return StreamingResponse(chain([first], pieces), media_type=MEDIA_TYPES[format])


@router.post(
    "/reviews/import",
    dependencies=[Depends(may_write)],
    responses=NO_KEY | NO_ADMIN,
    openapi_extra={"requestBody": FILE},
)
def import_reviews(
    request: Request,
    body: Annotated[bytes, Depends(body_of)],
    format: Annotated[FileFormat | None, Query(description="Told by how the file begins, if not here.")] = None,
    reviewer: Annotated[str, Query(description="Whose reviews they are, where the file does not say it.")] = "",
) -> Imported:
    """Bring in the reviews of a file, the body, in the names that it gives. The same file again adds nothing."""
    if not body:
        raise BadInput("The body is empty. Send the file as it is, as `curl --data-binary @FILE` does.")
    found = review_files.import_reviews(
        request.app.state.database,
        io.BytesIO(body),
        name="The body",
        clock=request.app.state.clock,
        form=format,
        reviewer=reviewer,
    )
    return Imported(imported=found.imported, known=found.known, no_article=found.no_article, refused=found.refused)
