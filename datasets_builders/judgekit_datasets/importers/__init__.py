"""One module per published data set: its rows become solutions."""
