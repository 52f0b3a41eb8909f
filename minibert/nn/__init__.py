"""The layers, the masks, and the one block."""
