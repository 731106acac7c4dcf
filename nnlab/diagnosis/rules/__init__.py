"""From facts to findings: pure functions; the diagnosis and the recipe share those about data and fresh networks."""
