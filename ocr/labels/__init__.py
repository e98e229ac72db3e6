"""Label files as data sets have them, and which of their words are used."""
