"""The models: a BERT, a GPT-2 and a BART of the one block."""
