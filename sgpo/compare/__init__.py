"""`sgpo compare`: algorithms, judges and seeds side by side, and what can be said of them."""
