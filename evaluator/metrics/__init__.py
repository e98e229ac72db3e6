"""Reference and prediction compared: every figure, what is compared, and how sure it is."""
