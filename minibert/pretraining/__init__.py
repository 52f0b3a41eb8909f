"""Pre-training objectives of BERT and GPT: from text to batches, from a batch to losses."""
