"""Rule mining engines behind one protocol; all agree to the integer."""
