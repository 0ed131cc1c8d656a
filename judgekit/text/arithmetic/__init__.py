"""One reader of arithmetic in text: tokens and number words, expressions, what equalities claim, where digits stand."""
