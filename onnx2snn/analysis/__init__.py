"""What becomes of every node, how well the result does, and what it costs."""
