"""What AWS charges, and how fast the model is: the figures that estimates are made of.

Change them here and nowhere else. The prices are list prices without any free tier.
"""

REGION = "us-east-1"
DATE = "November 2026"

# Dollars.
LAMBDA_GB_SECOND = 0.0000166667  # x86
LAMBDA_REQUEST = 0.20 / 1e6
S3_WRITE = 5.00 / 1e6  # PUT, COPY, POST, LIST
S3_READ = 0.40 / 1e6  # GET, HEAD
SQS_REQUEST = 0.40 / 1e6
BATCH_OPERATIONS_JOB = 0.25
BATCH_OPERATIONS_OBJECT = 1.00 / 1e6
BATCH_OPERATIONS_LISTED = 0.015 / 1e6  # of all in the source bucket, for the manifest that S3 makes

# Measured by `reviewbox evaluate`: 24 ms of processor time for a review of 1,300 characters (about as
# many bytes in the languages the model knows), on one vCPU, which is what a function of 1,769 MB has.
CPU_SECONDS_PER_KILOBYTE = 0.024 / 1.3
MEGABYTES_PER_VCPU = 1769

# Not measured, assumed: a function waits some 25 ms for each of the four requests that an object takes.
SECONDS_OF_WAITING_PER_OBJECT = 0.1
