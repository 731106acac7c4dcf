"""From checked configs to trained runs: single runs, grids, searches and the recipe's trials."""
