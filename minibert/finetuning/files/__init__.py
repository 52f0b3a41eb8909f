"""Readers and writers of labelled examples."""
