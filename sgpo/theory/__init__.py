"""The learning dynamics of SGPO and GRPO in a small model of reasoning, computed exactly."""
