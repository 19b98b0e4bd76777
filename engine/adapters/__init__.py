"""Other systems' words for what happened, in the schema of events."""
