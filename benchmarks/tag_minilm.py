"""Headlines and articles tagged per second by the shipped weights, beside what else could tag them.

    python benchmarks/tag_minilm.py TEXTS.jsonl [PEER_PYTHON ENCODER [ARTICLES.jsonl.gz]]

TEXTS has a "text" a line; the first 2,000 are read. PEER_PYTHON has sentence-transformers and transformers; ENCODER is
the folder of all-MiniLM-L6-v2. The peers: this encoder through sentence-transformers and torch, without any head; and a
zero-shot pipeline of the size of bart-large-mnli with random weights (speed does not depend on them) and four labels,
on 16 of the texts. Medians of five, in turn. ARTICLES has a "body" a line; those of 500 to 700 words are read, 200 at
most.
"""

import gzip
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


ZERO_SHOT = """
import json, sys, time
from transformers import BartConfig, BartForSequenceClassification, PreTrainedTokenizerFast, pipeline
texts = json.load(sys.stdin)[:16]
marks = {"pad_token": "[PAD]", "sep_token": "[SEP]", "cls_token": "[CLS]", "eos_token": "[SEP]"}
tokenizer = PreTrainedTokenizerFast(tokenizer_file=sys.argv[1] + "/tokenizer.json", **marks)
labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
ids = {label: place for place, label in labels.items()}
config = BartConfig(id2label=labels, label2id=ids, pad_token_id=0, eos_token_id=tokenizer.eos_token_id)
net = BartForSequenceClassification(config).eval()
classify = pipeline("zero-shot-classification", model=net, tokenizer=tokenizer, device="cpu")
classify(texts[:1], candidate_labels=["a", "b", "c", "d"])
began = time.perf_counter()
classify(texts, candidate_labels=["flight to safety", "debasement", "easing", "fiscal stress"], multi_label=True)
print(len(texts) / (time.perf_counter() - began))
"""
WORDS, ARTICLES = (500, 700), 200


def articles(path: str) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        bodies = (json.loads(line).get("body") or "" for line in file)
        fitting = (body for body in bodies if WORDS[0] <= len(body.split()) <= WORDS[1])
        return [body for body, _ in zip(fitting, range(ARTICLES), strict=False)]


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
    rates, peers, zero_shot, single, whole = [], [], [], [], []
    long = [Text(str(n), {"body": body}) for n, body in enumerate(articles(peer[2]))] if peer[2:] else []
    for _ in range(TIMES):
        began = perf_counter()
        list(tagger.tag(headlines))
        rates.append(len(texts) / (perf_counter() - began))
        if peer:
            for script, found in ((PEER, peers), (ZERO_SHOT, zero_shot)):
                command = [peer[0], "-c", script, peer[1]]
                found.append(float(subprocess.check_output(command, input=json.dumps(texts).encode()).split()[-1]))
        if long:
            began = perf_counter()
            list(tagger.tag(long))
            whole.append(len(long) / (perf_counter() - began))
    for headline in headlines[:200]:
        began = perf_counter()
        list(tagger.tag([headline]))
        single.append(perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{tagger.name}: {median(rates):,.0f} headlines/s; one takes {1000 * median(single):.1f} ms")
    print(f"cold start {cold:.2f} s; peak memory {peak:.0f} MB")
    if peers:
        print(f"sentence-transformers: {median(peers):,.0f}/s; ratio {median(rates) / median(peers):.1f}")
        print(f"zero-shot: {median(zero_shot):.2f}/s; ratio {median(rates) / median(zero_shot):,.0f}")
    if whole:
        print(f"articles of {WORDS[0]} to {WORDS[1]} words: {median(whole):.0f}/s of {len(long)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
