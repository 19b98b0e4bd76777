"""Rules of the shop itself about its offers: pins, blocks, caps, and when they hold."""
