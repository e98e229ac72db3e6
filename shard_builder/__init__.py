"""From AI-Hub's zips to shards: pages are read, cropped into words and written, and nothing is unpacked on the way."""
