"""Gradients compared with numerical derivatives."""
