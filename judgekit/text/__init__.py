"""Reading a solution's text: steps, sentences, arithmetic; and rendering prompts for models."""
