"""Publishing judges: the model card, results in the form that the Hub shows, and the upload."""
