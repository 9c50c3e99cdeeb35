"""Real parts made tiny: a tokenizer of a few words and a graph of a few nodes; a backend that records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from reviewbox.model.batching import Backend, Ids, Logits

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

# Each word adds its weight to the logit of "positive" and subtracts it from the logit of "negative".
WORDS = {
    "good": 2.0,
    "great": 3.0,
    "bad": -2.0,
    "awful": -3.0,
    "film": 0.0,
    "the": 0.0,
    ".": 0.0,
    "not": -1.0,
}


def tokenizer() -> Tokenizer:
    """Return a tokenizer for `WORDS` that adds the same special tokens as BERT."""
    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    tiny = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tiny.normalizer = BertNormalizer()
    tiny.pre_tokenizer = BertPreTokenizer()
    tiny.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tiny.add_special_tokens(list(SPECIAL))
    return tiny


def write_model(
    folder: Path,
    *,
    token_logits: bool = True,
    labels: tuple[str, ...] = ("negative", "positive"),
    words: Mapping[str, float] = WORDS,
    languages: tuple[str, ...] = (),
) -> Path:
    """Write a model folder with the files of a Hugging Face export, and return its path.

    The logit of the last label is the mean weight of a window's words. The logit of the first label is its
    negative, and the other logits are zero. An unknown word counts as a word of weight zero. `words` has the
    keys of `WORDS` in the same order; its weights may differ. With `languages`, a last logit tells whether
    the words are known: it is 4 if all are, and -4 if none is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "model_type": "bert",
        "id2label": dict(enumerate(labels)),
        "max_position_embeddings": 16,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    weights = np.zeros((len(SPECIAL) + len(WORDS), len(labels)), dtype=np.float32)
    weights[len(SPECIAL) :, -1] = list(words.values())
    weights[:, 0] = -weights[:, -1]
    is_word = np.ones((len(weights), 1), dtype=np.float32)
    is_word[[0, 2, 3]] = 0  # [PAD], [CLS] and [SEP]; an unknown word is a word
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(labels)])]
    if token_logits:
        outputs.append(
            helper.make_tensor_value_info("token_logits", TensorProto.FLOAT, ["batch", "tokens", len(labels)])
        )
    language_nodes, language_constants = [], []
    if languages:
        outputs.append(helper.make_tensor_value_info("language_logits", TensorProto.FLOAT, ["batch", 1]))
        is_known = np.zeros((len(weights), 1), dtype=np.float32)
        is_known[len(SPECIAL) :], is_known[1] = 4, -4
        language_constants = [numpy_helper.from_array(is_known, "is_known")]
        language_nodes = [
            helper.make_node("Gather", ["is_known", "input_ids"], ["known"]),
            helper.make_node("ReduceSum", ["known", "tokens_axis"], ["known_sum"], keepdims=0),
            helper.make_node("Div", ["known_sum", "count"], ["language_logits"]),
        ]
        (folder / "bundle.json").write_text(json.dumps({"languages": languages}), encoding="utf-8")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["weights", "input_ids"], ["token_logits"]),
            helper.make_node("Gather", ["is_word", "input_ids"], ["words"]),
            helper.make_node("ReduceSum", ["token_logits", "tokens_axis"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["words", "tokens_axis"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], ["logits"]),
            *language_nodes,
        ],
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        outputs,
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(is_word, "is_word"),
            numpy_helper.from_array(np.array([1]), "tokens_axis"),
            *language_constants,
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model)
    save(model, folder / "model.onnx")
    return folder


@dataclass(frozen=True, slots=True)
class Batch:
    """The input of one run of a backend; each array has the shape (B, T)."""

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids


class RecordingBackend:
    """A backend that records its batches and passes them on to another backend."""

    def __init__(self, backend: Backend) -> None:
        self.batches: list[Batch] = []
        self._backend = backend

    @property
    def label_count(self) -> int | None:
        return self._backend.label_count

    @property
    def tells_language(self) -> bool:
        return self._backend.tells_language

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids) -> Logits:
        self.batches.append(Batch(input_ids, attention_mask, token_type_ids))
        return self._backend.run(input_ids, attention_mask, token_type_ids)
