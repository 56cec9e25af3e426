"""Headlines a second: keywords@1 against one regular expression of the same phrases, medians of five in turn."""

import re
import statistics
from time import perf_counter

from made_up import headlines

from config import definitions
from models.tags import Text
from nlp.keywords import KeywordTagger

ROWS, ROUNDS = 10_000, 5


def main() -> None:
    titles = headlines(ROWS)
    tagger = KeywordTagger(definitions.narratives(), definitions.assets())
    phrases = {p for narrative in definitions.narratives().values() for p in narrative.keywords}
    phrases |= {p for asset in definitions.assets().values() for p in asset.aliases}
    longest_first = sorted(phrases, key=len, reverse=True)
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + r")\b", re.IGNORECASE)
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(ROUNDS):
        began = perf_counter()
        for _tagged in tagger.tag(Text(str(n), {"title": title}) for n, title in enumerate(titles)):
            pass
        rates["ours"].append(ROWS / (perf_counter() - began))
        began = perf_counter()
        for title in titles:
            pattern.findall(title)
        rates["peer"].append(ROWS / (perf_counter() - began))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    print(f"keywords@1: {middle['ours']:,.0f} headlines/s · regular expression, counting only: ", end="")
    print(f"{middle['peer']:,.0f} headlines/s · ratio {middle['ours'] / middle['peer']:.2f}")


if __name__ == "__main__":
    main()
