"""The handler that tutorials teach, with each of the classifiers that they teach.

It takes the event's first record, reads the whole object, classifies one review at a time and writes the
results beside it. Weights are random where training would change nothing but the answers.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import boto3
from tests.benchmarks.classifier import MODEL
from tests.benchmarks.texts import mixed

from reviewbox.local.cloud import BUCKET, Cloud

LONGEST = 512  # tokens; the rest is cut off

Classify = Callable[[str], str]
Handler = Callable[[Mapping[str, Any], Any], None]


def handler_of(classify: Classify) -> Handler:
    """Return the handler around a classifier."""
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
    """DistilBERT's architecture through `transformers`, one thread."""
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
        inputs = tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits
        label: str = config.id2label[logits.argmax().item()]
        return label

    return classify


def distilbert_int8(graph: Path) -> Classify:
    """DistilBERT's architecture, quantized dynamically, through `onnxruntime`, one thread."""
    import numpy as np
    from tests.benchmarks.model import open_session
    from tokenizers import Tokenizer

    session = open_session(graph)
    names = {given.name for given in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)

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
    """VADER, a lexicon with rules."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    return lambda text: "positive" if analyzer.polarity_scores(text)["compound"] > 0 else "negative"


def tfidf(graph: Path) -> Classify:
    """TF-IDF of words and pairs of words, and logistic regression, by scikit-learn.

    It has learnt labels drawn by lot: what it answers does not matter here.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = mixed(1000, "to learn from")
    generator = random.Random(0)  # noqa: S311 - labels, not secrets
    labels = generator.choices(("negative", "positive"), k=len(texts))
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(texts, labels)
    return lambda text: str(model.predict([text])[0])


def none(graph: Path) -> Classify:
    """No classifier: what remains is the handler."""
    return lambda _: "positive"


_handlers: list[Handler] = []


def start(cloud: Cloud, classifier: Callable[[Path], Classify], graph: Path) -> None:
    """Make the handler in this process; `graph` is what the classifier that needs one runs."""
    os.environ.update(cloud.environment)
    classify = classifier(graph)
    for text in mixed(20, "to warm up"):
        classify(text)
    _handlers[:] = [handler_of(classify)]


def put(cloud: Cloud, bodies: Mapping[str, bytes]) -> list[str]:
    """Put objects where they call nobody; return their keys."""
    keys = {f"tutorial/{name}": body for name, body in bodies.items()}
    for key, body in keys.items():
        cloud.s3().put_object(Bucket=BUCKET, Key=key, Body=body)
    return list(keys)


def work(keys: Iterable[str]) -> tuple[float, float]:
    """Invoke the handler for each object; return the seconds of processor and of wall time it took."""
    (handler,) = _handlers
    processor, wall = time.process_time(), time.perf_counter()
    for key in keys:
        handler({"Records": [{"s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}]}, None)
    return time.process_time() - processor, time.perf_counter() - wall
