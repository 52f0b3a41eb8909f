"""The models: a BERT and a GPT-2 of the one block."""
