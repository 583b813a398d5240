#!/bin/sh
# Run by LocalStack once it is ready. The template names a sender of mails and, as on AWS, does not
# verify it; Amazon SES takes mails of verified senders alone.
set -eu
sender=${TAILRACE_MAIL_FROM:-tailrace@localhost}
awslocal ses verify-email-identity --email-address "$sender"
echo "Verified $sender as a sender of mails"
