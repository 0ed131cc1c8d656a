"""One reader of arithmetic in text: tokens, the grammar of one side, chains of sides, and calculations."""
