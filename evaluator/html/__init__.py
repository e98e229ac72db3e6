"""The report as a web page: `index.html` and a folder beside it, opened from the disk without a server."""
