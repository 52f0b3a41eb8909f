"""The functions of reference.py as one node each, with hand-derived backwards."""
