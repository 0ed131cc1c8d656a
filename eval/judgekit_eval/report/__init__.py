"""The report of an evaluation: a page, leaderboards, a terminal table."""
