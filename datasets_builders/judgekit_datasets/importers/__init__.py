"""One module a published data set: its rows become solutions."""
