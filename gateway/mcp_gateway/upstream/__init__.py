"""The way out: one HTTP/1.1 exchange at a time on each of a pool of lent connections."""
