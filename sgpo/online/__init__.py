"""SGPO while sampling, on TRL's GRPO trainer."""
