"""Tables that are larger than a segment (ADR 9)."""
