"""What is predicted: one file for each family of tasks."""
