"""The report as files: JSON, Markdown, CSV and the tables that are printed."""
