"""The domain of Mersalg: carts in, offers out, facts in, rates out. No HTTP, no pandas."""
