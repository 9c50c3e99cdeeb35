"""Tables that are larger than a segment."""
