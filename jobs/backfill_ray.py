"""The other engine of a backfill: Ray Data, on this machine or on a cluster. Needs the extra `cluster`.

    files -> read_blocks, one task a file -> tag_block in actors that hold the tagger -> what became of each block

An actor that dies is started again and given its block again, without end; `tag_block` counts, and sets it aside. On a
cluster the files and the folders of parts lie where every node sees them under the same path.
"""

import logging
import os
import pickle
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

from config.settings import get_settings
from jobs.backfill import Block, Plan, Told, read_blocks, tag_block, tagger_of
from models.errors import ConfigError, StoryshiftError

MIB = 1024**2
ANSWERS_SECONDS = 10
SETTINGS = ("tagger", "sentiment", "languages", "config_dir", "weights")
"""Those that a tagger on another machine goes by."""


class Tags:
    """An actor: it holds the tagger, and is given one block, or what is known of one already, at a time."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._error = plan, ""
        try:
            self._tagger = tagger_of(plan)
        except StoryshiftError as error:
            self._error = str(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"item": [pickle.dumps(self._told(pickle.loads(item))) for item in batch["item"]]}  # noqa: S301 - ours

    def _told(self, item: Block | Told) -> Told:
        if isinstance(item, Told):
            return item
        if self._error:
            return Told(item.file, item.number, stops=f"cannot be tagged. {self._error}")
        return tag_block(self._plan, self._tagger, item)


def read(batch: dict[str, Any], plan: Plan) -> Iterator[dict[str, Any]]:
    """What read_blocks finds in a file, one item after the other."""
    for file in batch["file"]:
        for item in read_blocks(plan, Path(file)):
            yield {"item": [pickle.dumps(item)]}


def run_ray(plan: Plan, files: Sequence[Path], workers: int) -> Generator[Told, None, None]:
    """Raises: ConfigError if Ray is missing, or the cluster of STORYSHIFT_RAY_ADDRESS does not answer."""
    with _quiet():
        try:
            import ray
            import ray.data as ray_data
        except ModuleNotFoundError:
            raise ConfigError(
                "--engine ray needs the extra `cluster`: pip install 'storyshift[cluster]'; --engine local does not."
            ) from None
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        _start(ray, workers)
        data: Any = ray_data
        try:
            context = data.DataContext.get_current()
            context.enable_progress_bars = False
            context.target_max_block_size = 1  # bytes: each of our blocks goes on as soon as it is read
            found = data.from_items([{"file": str(file)} for file in files], override_num_blocks=len(files))
            found = found.map_batches(read, batch_size=1, fn_kwargs={"plan": plan}, num_cpus=0.5)
            found = found.map_batches(
                Tags,
                batch_size=1,
                fn_constructor_args=(plan,),
                num_cpus=1,
                compute=data.ActorPoolStrategy(size=workers),
            )
            for row in found.iter_rows():
                told: Told = pickle.loads(row["item"])  # noqa: S301 - ours
                yield told
        finally:
            ray.shutdown()


def _start(ray: Any, workers: int) -> None:
    address = get_settings().ray_address
    said: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address:
        settings = {name: getattr(get_settings(), name) for name in SETTINGS}
        variables = {f"STORYSHIFT_{name.upper()}": str(value) for name, value in settings.items() if value}
        said |= {"address": address, "runtime_env": {"env_vars": variables}}
    else:
        memory = (256 + 64 * workers) * MIB
        said |= {"address": "local", "include_dashboard": False, "num_cpus": workers + 1, "object_store_memory": memory}
        said |= {"_node_ip_address": "127.0.0.1", "_system_config": {"worker_niceness": 0}}
    try:
        place = urlsplit(address if "://" in address else f"ray://{address}")
        if place.hostname and place.port:  # Ray itself would ask in vain for minutes
            create_connection((place.hostname, place.port), timeout=ANSWERS_SECONDS).close()
        with _silent_beginning():
            ray.init(**said)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        what = f"The Ray cluster at {address} does not answer" if address else "Ray cannot be started here"
        raise ConfigError(f"{what} ({str(error).splitlines()[0]}).") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray writes about itself on stdout, where a report may be wanted, and warns of what its users cannot change."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_BACKEND_LOG_LEVEL="fatal")
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _silent_beginning() -> Iterator[None]:
    """What its libraries write to stderr by themselves when they start is not for whoever tags an archive."""
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
