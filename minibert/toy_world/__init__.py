"""A probabilistic world that generates text, and its exact answer key."""
