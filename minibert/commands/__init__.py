"""The commands of `python -m minibert`, a file for each kind of question."""
