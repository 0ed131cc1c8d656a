"""Near-duplicates, decontamination, quality, balance; the card of a data set and its upload."""
