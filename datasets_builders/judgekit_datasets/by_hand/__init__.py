"""Labels by people: `judgekit label` in a terminal or on a local page, every decision on disk before the next."""
