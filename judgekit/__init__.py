"""Step-wise judges: build step-labelled data, train, calibrate and benchmark. See `README.md` for the commands."""

__version__ = "0.1.0"
