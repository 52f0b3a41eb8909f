"""What BERT and GPT are trained on: from documents to batches, and from a batch to its losses."""
