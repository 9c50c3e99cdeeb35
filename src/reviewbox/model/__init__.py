"""Classifies texts with the model in a folder: text -> windows of tokens -> logits -> verdict."""
