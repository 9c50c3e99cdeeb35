"""A local cloud: moto's S3 and SQS, the resources of the template, and an event loop for the function."""
