"""Face: REST for programs, each call by a token of a user. It knows `main` and no other face."""
