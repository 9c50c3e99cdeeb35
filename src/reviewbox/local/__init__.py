"""The cloud in miniature: moto for S3 and SQS, the template for what is in it, and an event loop."""
