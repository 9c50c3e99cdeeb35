"""AWS's prices and the measured speed of the model: the inputs of cost estimates.

Prices are in dollars: list prices, without any free tier.
"""

REGION = "us-east-1"
DATE = "November 2026"

LAMBDA_GB_SECOND = 0.0000166667  # x86
LAMBDA_REQUEST = 0.20 / 1e6
S3_WRITE = 5.00 / 1e6  # PUT, COPY, POST, LIST
S3_READ = 0.40 / 1e6  # GET, HEAD
SQS_REQUEST = 0.40 / 1e6
BATCH_OPERATIONS_JOB = 0.25
BATCH_OPERATIONS_OBJECT = 1.00 / 1e6
BATCH_OPERATIONS_LISTED = 0.015 / 1e6  # per object in the source bucket, for the manifest that S3 generates

# Amazon Comprehend charges for units of 100 characters, and for at least 3 units per review. The price of a
# unit changes after this many units in a month.
COMPREHEND_CHARACTERS = 100
COMPREHEND_MIN_UNITS = 3
COMPREHEND_PRICE_CHANGES = ((0, 0.0001), (10e6, -0.00005), (50e6, -0.000025))

# Processor time for a review of this length, on one vCPU, which a function of 1,769 MB has. In the languages
# that the model knows, a character takes about one byte.
MEASURED_CPU_SECONDS = 0.024
MEASURED_CHARACTERS = 1_300
MEASURED_BY = "`reviewbox evaluate` on 1,232 film reviews, one thread of a shared AMD EPYC"
CPU_SECONDS_PER_KILOBYTE = MEASURED_CPU_SECONDS / MEASURED_CHARACTERS * 1000
MEGABYTES_PER_VCPU = 1769
EVIDENCE_FACTOR = 2  # for a file that is a single review, as `make bench` measures
# Decompressed bytes that one thread splits in a second. 13 MB were measured on CSV with short reviews, the
# slowest of four cases. With the requests for each MiB, 10 MB remain.
SPLIT_BYTES_PER_SECOND = 10e6
# One invocation splits a table, in the template's timeout less the seconds that it reserves to finish.
MAX_TABLE_BYTES = (900 - 15) * SPLIT_BYTES_PER_SECOND
WAIT_SECONDS_PER_OBJECT_OF_JOB = 0.1  # for S3; assumed, not measured
