"""The handler that tutorials show, with the classifiers that they use.

It takes the event's first record, reads the whole object, classifies one review at a time and writes the
results next to the object. The DistilBERT weights are random, because trained ones would take the same time.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import boto3
from tests.benchmarks.figures import MODEL
from tests.benchmarks.texts import generate_mix

from reviewbox.local.cloud import BUCKET, Cloud

MAX_TOKENS = 512  # the rest is truncated

Classify = Callable[[str], str]
Handler = Callable[[Mapping[str, Any], Any], None]


def make_handler(classify: Classify) -> Handler:
    """Return the handler that uses a classifier."""
    s3 = boto3.client("s3")

    def handler(event: Mapping[str, Any], context: Any) -> None:
        record = event["Records"][0]["s3"]
        bucket, key = record["bucket"]["name"], record["object"]["key"]
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8")
        if key.endswith(".jsonl"):
            rows = [json.loads(line) for line in body.splitlines()]
            result = json.dumps([{**row, "sentiment": classify(row["text"])} for row in rows])
        else:
            result = json.dumps({"sentiment": classify(body)})
        s3.put_object(Bucket=bucket, Key=f"{key}.sentiment.json", Body=result.encode("utf-8"))

    return handler


def distilbert(graph: Path) -> Classify:
    """Return DistilBERT, run by `transformers` on one thread."""
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = DistilBertConfig(
        id2label={0: "negative", 1: "positive"}, label2id={"negative": 0, "positive": 1}
    )
    model = DistilBertForSequenceClassification(config).eval()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(MODEL / "tokenizer.json"), model_input_names=["input_ids", "attention_mask"]
    )

    def classify(text: str) -> str:
        inputs = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits
        label: str = config.id2label[logits.argmax().item()]
        return label

    return classify


def distilbert_int8(graph: Path) -> Classify:
    """Return DistilBERT with dynamic quantization, run by `onnxruntime` on one thread."""
    import numpy as np
    from tests.benchmarks.model import open_session
    from tokenizers import Tokenizer

    session = open_session(graph)
    names = {model_input.name for model_input in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)

    def classify(text: str) -> str:
        encoding = tokenizer.encode(text)
        inputs = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        feeds = {name: np.array([inputs[name]], np.int64) for name in names}
        (logits,) = session.run(["logits"], feeds)
        return "positive" if logits.argmax() else "negative"

    return classify


def vader(graph: Path) -> Classify:
    """Return VADER, a lexicon with rules."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    return lambda text: "positive" if analyzer.polarity_scores(text)["compound"] > 0 else "negative"


def tfidf(graph: Path) -> Classify:
    """Return scikit-learn's logistic regression on TF-IDF of words and word pairs.

    It is trained on random labels, because its answers do not matter here.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = generate_mix(1000, "to learn from")
    generator = random.Random(0)  # noqa: S311 - labels, not secrets
    labels = generator.choices(("negative", "positive"), k=len(texts))
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(texts, labels)
    return lambda text: str(model.predict([text])[0])


def no_model(graph: Path) -> Classify:
    """Return a classifier with a constant answer, so that only the handler is measured."""
    return lambda _: "positive"


_handlers: list[Handler] = []


def start(cloud: Cloud, classifier: Callable[[Path], Classify], graph: Path) -> None:
    """Create the handler in this process, and warm it up; `graph` is the file of the int8 DistilBERT."""
    os.environ.update(cloud.environment)
    classify = classifier(graph)
    for text in generate_mix(20, "to warm up"):
        classify(text)
    _handlers[:] = [make_handler(classify)]


def put(cloud: Cloud, bodies: Mapping[str, bytes]) -> list[str]:
    """Upload objects under a prefix that has no notification; return their keys."""
    keys = {f"tutorial/{name}": body for name, body in bodies.items()}
    for key, body in keys.items():
        cloud.s3().put_object(Bucket=BUCKET, Key=key, Body=body)
    return list(keys)


def handle(keys: Iterable[str]) -> tuple[float, float]:
    """Invoke the handler for each object; return the seconds of processor and wall time."""
    (handler,) = _handlers
    processor, wall = time.process_time(), time.perf_counter()
    for key in keys:
        handler({"Records": [{"s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}]}, None)
    return time.process_time() - processor, time.perf_counter() - wall
