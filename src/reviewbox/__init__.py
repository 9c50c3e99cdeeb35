"""Reviewbox: drop reviews into an S3 bucket, get their sentiment back."""
