"""The engine of a backfill on this machine: processes that each hold the tagger and are given one block at a time.

Each has a pipe of its own. So one that dies, killed or out of memory, takes only its block with it, which is tried
again; and all end with the process that started them, however that ended.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Any

from jobs.backfill import TRIES, Block, Plan, Told, read_blocks, tag_block, tagger_of
from models.errors import ConfigError, StoryshiftError


class _Worker:
    """A process that tags one block at a time: `block`, which it is given once it is `ready`."""

    def __init__(self, plan: Plan, block: Block) -> None:
        context = multiprocessing.get_context("spawn")
        self.block: Block | None = block
        self.ready = False
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(plan, theirs), daemon=True)
        resource_tracker.ensure_running()  # it would let Ctrl-C through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what starts now never hears it
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def give(self, block: Block) -> None:
        self.block = block
        if self.ready:
            with suppress(OSError):  # it has died, as is heard next
                self.pipe.send(block)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()


def _serve(plan: Plan, pipe: Any) -> None:
    """The life of a worker: it says that it is ready (None) or why not, then what became of each block it is given."""
    with suppress(EOFError, OSError):  # the one who gave them is gone
        try:
            tagger = tagger_of(plan)
        except StoryshiftError as error:
            pipe.send(str(error))
            return
        pipe.send(None)
        while True:
            pipe.send(tag_block(plan, tagger, pipe.recv()))


def run_locally(plan: Plan, files: Sequence[Path], workers: int) -> Generator[Told, None, None]:
    """Raises: ConfigError if no worker can tag."""
    found = (item for file in files for item in read_blocks(plan, file))
    again: deque[Block] = deque()
    crew: list[_Worker] = []
    died_early = 0
    block: Block | None = None
    try:
        while True:
            while block is None and (item := again.popleft() if again else next(found, None)) is not None:
                if isinstance(item, Told):
                    yield item
                else:
                    block = item
            if block is not None:
                idle = next((worker for worker in crew if worker.block is None), None)
                if idle is not None:
                    idle.give(block)
                    block = None
                    continue
                if len(crew) < workers:
                    crew.append(_Worker(plan, block))
                    block = None
                    continue
            busy: dict[Any, _Worker] = {worker.pipe: worker for worker in crew if worker.block is not None}
            if not busy:
                return
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]
                try:
                    said = worker.pipe.recv()
                except (EOFError, OSError):
                    died_early += not worker.ready
                    if died_early >= TRIES:
                        raise ConfigError(
                            f"{TRIES} workers died before they could tag anything (the last with exit code "
                            f"{_exit_code(worker)}). Is there memory for --workers {workers}?"
                        ) from None
                    again.extend([worker.block] if worker.block is not None else [])
                    crew.remove(worker)
                    worker.stop()
                    continue
                if said is None:
                    worker.ready, died_early = True, 0
                    if worker.block is not None:
                        worker.give(worker.block)
                elif isinstance(said, str):
                    raise ConfigError(said)
                else:
                    worker.block = None
                    yield said
    finally:
        for worker in crew:
            worker.stop()


def _exit_code(worker: _Worker) -> int | None:
    worker.process.join()
    return worker.process.exitcode
