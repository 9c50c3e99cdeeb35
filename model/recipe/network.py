"""The classifier in PyTorch: MiniLM-L6 and one linear layer over its token states."""

from pathlib import Path

from torch import Tensor, nn
from transformers import BertModel

# Dropout slows training, and a few epochs over many domains hardly overfit.
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class TokenClassifier(nn.Module):
    """A classifier with one logit per token; a text's logit is the mean over its tokens.

    The mean lets the windows of one review be pooled, weighted by their token counts.
    """

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, 1)

    @classmethod
    def from_pretrained(cls, folder: Path) -> "TokenClassifier":
        """Load the encoder's weights from `folder`; the head's weights are zero."""
        encoder = BertModel.from_pretrained(
            folder, add_pooling_layer=False, attn_implementation="sdpa", **NO_DROPOUT
        )
        encoder.embeddings.requires_grad_(requires_grad=False)
        model = cls(encoder)
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)
        return model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the windows' token logits, shape (N, T): zero for `[CLS]`, `[SEP]` and padding."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # A position holds a token of the text if it is not the first and the next one is not padding.
        is_text = nn.functional.pad(attention_mask[:, 2:], (1, 1)).to(states.dtype)
        return self.head(states).squeeze(-1) * is_text
