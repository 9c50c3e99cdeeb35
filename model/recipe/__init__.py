"""The recipe that trains the model in `model/`."""
