"""What a shop says itself about its offers: pins, blocks, caps, and when they hold."""
