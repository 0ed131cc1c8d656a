"""How raw files are read: rows, texts and YAML from strangers."""
