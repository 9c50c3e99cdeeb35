"""What is written back to S3."""
