"""The tasks of fine-tuning: one file for each family."""
