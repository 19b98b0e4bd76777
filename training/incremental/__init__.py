"""What a training remembers, so that the next one reads and counts only what is new."""
