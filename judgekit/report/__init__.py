"""Building blocks of reports: pages, terminal tables, intervals."""
