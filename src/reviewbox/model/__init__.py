"""Text -> verdict: a model folder, its windows, its logits, and what they say."""
