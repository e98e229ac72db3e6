"""Files behind URLs: fetched in parts, tried again, counted, and kept in a cache."""
