"""How the model under `model/` is made."""
