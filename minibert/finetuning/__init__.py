"""Fine-tuning: classes, pairs, endings, tags and answers, with their files and metrics."""
