"""Step-wise judges: build step-labelled data, train, calibrate and benchmark. See `README.md` for the commands."""

from judgekit.version import VERSION

__version__ = VERSION
