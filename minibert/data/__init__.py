"""Text files, and corpora with a held-out part."""
