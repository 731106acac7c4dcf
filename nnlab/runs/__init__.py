"""From checked configs to trained runs, and what a finished run is used for."""
