"""Headlines made of a newsroom's words; the same number always gives the same headlines."""

import random

WORDS = (
    "gold silver bitcoin stocks dollar fed ecb rates cut hike debt deficit safe haven fear rally record inflation "
    "treasury yields liquidity tariff war demand supply market investors hedge company profit city museum plans says"
).split()


def headlines(count: int) -> list[str]:
    rng = random.Random(7)
    return [" ".join(rng.choices(WORDS, k=11)).capitalize() + f" {number}" for number in range(count)]
