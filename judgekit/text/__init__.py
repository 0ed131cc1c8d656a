"""What is read in a solution's text: steps, sentences, arithmetic; and what is written for a model to read."""
