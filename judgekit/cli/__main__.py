"""`python -m judgekit.cli`, where the console script is not on the path."""

import sys

from judgekit.cli import main
from judgekit.cli.start_folder import leave_start_folder

leave_start_folder()
sys.exit(main())
