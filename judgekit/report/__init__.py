"""What is looked at: pages, terminal tables, intervals."""
