"""Studies: the runs of a sweep read back, compared, and told as a page."""
