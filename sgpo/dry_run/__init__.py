"""What a training run would need: shapes, memory, steps and judge calls, computed without weights or network."""
