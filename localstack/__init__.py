"""What stands in for AWS on a laptop; never deployed and never imported by deployed code."""
