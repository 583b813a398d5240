"""``python -m localstack.embedded``: run the whole of Tailrace from this checkout until Ctrl-C."""

import sys

from localstack.embedded.up import main

if __name__ == "__main__":
    sys.exit(main())
