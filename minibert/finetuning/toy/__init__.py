"""Labelled tasks drawn from the toy world, with their best possible scores."""
