"""`mersalg init`: drafts the shop file of order and catalogue files. Start at `draft`."""
