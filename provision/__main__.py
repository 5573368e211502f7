"""`python -m provision`: see docs/cli.md."""

import sys

from provision.cli import main

if __name__ == "__main__":
    sys.exit(main())
