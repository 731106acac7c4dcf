"""`nnlab play`: a local page on which a network trains while its settings are turned."""
