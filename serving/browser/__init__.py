"""What a shop puts into its own pages."""
