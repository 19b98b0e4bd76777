"""Mining on Spark: orders are read where they lie, and only what is frequent comes back."""
