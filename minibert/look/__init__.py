"""Pages that show every number of a model, and the curves of a training."""
