"""What a training would need: shapes, memory, steps and judge calls, worked out without weights and without network."""
