"""Headlines tagged per second by the shipped weights, beside the same encoder through sentence-transformers and torch.

    python benchmarks/tag_minilm.py TEXTS.jsonl [PEER_PYTHON ENCODER]

TEXTS has a "text" a line; the first 2,000 are read. PEER_PYTHON has sentence-transformers; ENCODER is the folder of
all-MiniLM-L6-v2. Medians of five, in turn.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

TEXTS, TIMES = 2_000, 5
PEER = """
import json, sys, time
from sentence_transformers import SentenceTransformer
texts = json.load(sys.stdin)
model = SentenceTransformer(sys.argv[1], device="cpu")
model.encode(texts[:64])
began = time.perf_counter()
model.encode(texts, batch_size=32)
print(len(texts) / (time.perf_counter() - began))
"""


def main(path: str, peer: list[str]) -> None:
    began = perf_counter()
    from config import definitions
    from models.tags import Text
    from nlp.minilm import MiniLMTagger

    with Path(path).open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line, _ in zip(file, range(TEXTS), strict=False)]
    tagger = MiniLMTagger(definitions.narratives(), definitions.assets())
    headlines = [Text(str(number), {"title": text}) for number, text in enumerate(texts)]
    list(tagger.tag(headlines[:1]))
    cold = perf_counter() - began
    rates, peers, single = [], [], []
    for _ in range(TIMES):
        began = perf_counter()
        list(tagger.tag(headlines))
        rates.append(len(texts) / (perf_counter() - began))
        if peer:
            command = [peer[0], "-c", PEER, peer[1]]
            peers.append(float(subprocess.check_output(command, input=json.dumps(texts).encode()).split()[-1]))
    for headline in headlines[:200]:
        began = perf_counter()
        list(tagger.tag([headline]))
        single.append(perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{tagger.name}: {median(rates):,.0f} headlines/s; one takes {1000 * median(single):.1f} ms")
    print(f"cold start {cold:.2f} s; peak memory {peak:.0f} MB")
    if peers:
        print(f"sentence-transformers: {median(peers):,.0f}/s; ratio {median(rates) / median(peers):.1f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
