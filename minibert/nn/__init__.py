"""The layers, the one block, and the embeddings before it."""
