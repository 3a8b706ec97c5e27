"""What every room agrees on: names, digests, events, errors, users, and the masking of secrets."""
