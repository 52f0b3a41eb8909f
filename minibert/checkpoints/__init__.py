"""Files that hold models: safetensors, and folders in Hugging Face's layout.

It knows names, dictionaries and arrays, but no model: the models read and write themselves.
"""
