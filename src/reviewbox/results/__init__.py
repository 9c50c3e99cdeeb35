"""Results: their keys, receipts and classified tables."""
