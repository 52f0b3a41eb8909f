"""Text with known probabilities: a hidden Markov model, and its exact predictions."""
