"""The classifier in PyTorch: MiniLM-L6 and one linear layer over its token states."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertModel

from recipe.emoji import name_pieces

# Dropout slows training, and a few epochs over many domains hardly overfit.
HEADS = 3

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class TokenClassifier(nn.Module):
    """A classifier with three logits per token; a text's logits are the means over its tokens.

    The three ask whether the text praises, whether it blames, and whether it is in a known language.
    """

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, HEADS)

    @classmethod
    def from_pretrained(cls, folder: Path) -> "TokenClassifier":
        """Load the encoder's weights from `folder`; the head's weights are zero.

        Only the embeddings of emoji are trained. Each starts as the mean of the embeddings of its name.
        """
        encoder = BertModel.from_pretrained(
            folder, add_pooling_layer=False, attn_implementation="sdpa", **NO_DROPOUT
        )
        encoder.embeddings.requires_grad_(requires_grad=False)
        model = cls(encoder)
        words = encoder.embeddings.word_embeddings.weight
        names = name_pieces(Tokenizer.from_file(str(folder / "tokenizer.json")))
        is_emoji = torch.zeros(len(words), 1)
        with torch.no_grad():
            for index, pieces in names.items():
                words[index] = words[pieces].mean(dim=0)
                is_emoji[index] = 1
        words.requires_grad_()
        words.register_hook(lambda gradient: gradient * is_emoji.to(gradient.device))
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)
        return model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the windows' token logits, shape (N, T, 3): zero for `[CLS]`, `[SEP]` and padding."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # A position holds a token of the text if it is not the first and the next one is not padding.
        is_text = nn.functional.pad(attention_mask[:, 2:], (1, 1)).to(states.dtype)
        return self.head(states) * is_text.unsqueeze(-1)
