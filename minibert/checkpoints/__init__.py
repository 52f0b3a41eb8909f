"""Files that hold models: safetensors, and folders in Hugging Face's layout.

Knows names, dictionaries and arrays, and no model: the models above it read and write themselves.
"""
