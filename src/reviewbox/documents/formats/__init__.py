"""File formats, one module or package each."""
