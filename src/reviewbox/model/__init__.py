"""Text -> windows of tokens -> logits -> verdict, with the model in a folder."""
