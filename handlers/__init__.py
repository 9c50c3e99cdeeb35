"""Lambda's entry points, one module per function."""
