"""A run's files: how they are written, claimed, named and read; the only room that knows."""
