"""What makes two problems, steps or solutions the same."""
