"""Labelled tasks of the toy world, with their best possible metrics."""
