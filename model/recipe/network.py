"""The classifier as PyTorch sees it: MiniLM-L6 with one linear layer over its token states."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertModel


class TokenClassifier(nn.Module):
    """One logit per token; a text's logit is the mean over its real tokens.

    Because the mean is additive, a sentence's share of the verdict is the sum of its tokens'
    logits over the token count, and windows of one review pool by their token counts.
    """

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, 1)

    @classmethod
    def from_pretrained(cls, folder: Path) -> "TokenClassifier":
        """Load the encoder's weights from `folder`; the head starts at zero.

        Dropout is off: it slows training, and two epochs over many domains hardly overfit.
        """
        encoder = BertModel.from_pretrained(
            folder,
            add_pooling_layer=False,
            attn_implementation="sdpa",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        encoder.embeddings.requires_grad_(requires_grad=False)
        model = cls(encoder)
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)
        return model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the windows' logits, shape (N,), and their token logits, shape (N, T).

        `[CLS]`, `[SEP]` and padding have a token logit of zero and do not count in the mean.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        real = content_mask(attention_mask).to(states.dtype)
        token_logits = self.head(states).squeeze(-1) * real
        logits = token_logits.sum(dim=1) / real.sum(dim=1).clamp(min=1)
        return logits, token_logits


def content_mask(attention_mask: Tensor) -> Tensor:
    """Return the mask of positions between `[CLS]` and `[SEP]`, of `attention_mask`'s shape.

    A position is content when it is not the first and the next one is still attended to.
    """
    following = torch.nn.functional.pad(attention_mask[:, 1:], (0, 1))
    content = attention_mask * following
    first = torch.zeros_like(content[:, :1])
    return torch.cat([first, content[:, 1:]], dim=1)
