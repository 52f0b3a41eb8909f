"""Files that hold models: safetensors, and folders in Hugging Face's layout.

Only names, dictionaries and arrays occur here; the models read and write themselves.
"""
