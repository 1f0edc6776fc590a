"""Scripts that print the figures the project quotes; see each one's docstring."""
