"""Tables of mixed columns: columns, their kinds, and how each becomes numbers for a network."""
