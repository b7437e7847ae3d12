"""The doors: listeners that turn bytes into exchanges and answers into bytes."""
