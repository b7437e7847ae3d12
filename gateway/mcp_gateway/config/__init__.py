"""A document in: read, checked as a whole, resolved; secrets as files; changes watched."""
