"""`python -m judgekit.cli`, where the console script is not on the path."""

import sys

from judgekit.cli import main

sys.exit(main())
