"""Weights: the released files made one of ours, and that one read."""
