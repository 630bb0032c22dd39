"""Bare loops of other stream processors: they decode each line and count, and do nothing else."""
