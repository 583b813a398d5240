"""From this checkout to an AWS account and back: what `make deploy` and `make destroy` run.

Packing is `build.mk`'s, deploying is SAM's; here is what neither does. No function imports it.
"""
