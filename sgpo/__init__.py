"""SGPO training with any judge: offline on stored groups, online while sampling, next to its baselines."""
