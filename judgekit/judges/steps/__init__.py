"""Judges that read a probability at every step: classifier, label token, likelihood, implicit reward."""
