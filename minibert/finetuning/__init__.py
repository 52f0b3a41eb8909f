"""From a pre-trained model to an answer: classes, pairs, endings, tags, spans of a text."""
