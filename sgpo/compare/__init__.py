"""`sgpo compare`: algorithms, judges and seeds side by side, and what follows from the results."""
