"""Corpora, each with a held-out part."""
