"""Near duplicates, decontamination, quality, balance; the card and the publication of a data set."""
