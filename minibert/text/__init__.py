"""From text to ids: clean-up, tokenizers, corpora, and the toy world with its answer key."""
