"""How this server and its record fare, for Prometheus. docs/metrics.md."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import choose_encoder

router = APIRouter(tags=["health"])
OPEN_METRICS = "application/openmetrics-text"


@router.get("/metrics", response_class=PlainTextResponse, responses={200: {"content": {OPEN_METRICS: {}}}})
def metrics(request: Request) -> Response:
    """Requests, the process and the record, as Prometheus reads them; `storyshift_up` is 0 without a database."""
    encoder, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encoder(request.app.state.registry), headers={"Content-Type": media_type})
