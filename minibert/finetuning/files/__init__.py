"""Labelled examples in files, read and written."""
