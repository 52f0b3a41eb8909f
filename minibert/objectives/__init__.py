"""From documents to batches, and from a batch to its losses: what BERT and GPT are trained on."""
