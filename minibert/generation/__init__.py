"""Text from a model that predicts the next token."""
