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

# Amazon Comprehend, sentiment: units of so many characters, and at least so many units for a review. What
# a unit of the first ten million of a month costs, of the next forty, and of the rest.
COMPREHEND_CHARACTERS = 100
COMPREHEND_LEAST_UNITS = 3
COMPREHEND_UNITS = ((10e6, 0.0001), (40e6, 0.00005), (float("inf"), 0.000025))

# Processor time for a review of so many characters (about as many bytes in the languages the model
# knows), on one vCPU, which is what a function of 1,769 MB has.
MEASURED_CPU_SECONDS = 0.024
MEASURED_CHARACTERS = 1_300
MEASURED = "`reviewbox evaluate` on 1,232 film reviews, one thread of a shared AMD EPYC"
CPU_SECONDS_PER_KILOBYTE = MEASURED_CPU_SECONDS / MEASURED_CHARACTERS * 1000
MEGABYTES_PER_VCPU = 1769

# Measured by `make bench`: so many times as long where evidence is looked for, as it is for a file that
# is one review, and for no row of a table.
TIMES_WITH_EVIDENCE = 2

# At how many bytes a second a large table, decompressed, is read to cut it. Measured by `cut` on 25 MB of CSV
# with reviews of 100 characters, one thread of a shared AMD EPYC, and the slowest of four: with reviews of
# 1,300 characters it was 64 MB a second; of JSON Lines 21 and 82. gzip took a tenth more time.
CUT_BYTES_PER_CPU_SECOND = 13e6

# Not measured, assumed: a function waits some 25 ms for each request, and an object takes four.
SECONDS_OF_WAITING_PER_REQUEST = 0.025
SECONDS_OF_WAITING_PER_OBJECT = 4 * SECONDS_OF_WAITING_PER_REQUEST
