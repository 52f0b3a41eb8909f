"""The models before BERT and GPT, each judged by the same three questions (see model.py)."""
