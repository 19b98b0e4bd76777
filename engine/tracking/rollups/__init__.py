"""Days counted once and added up after, to the same numbers as from the facts."""
