"""Files that hold the words of pages: ours, AI-Hub's labels, and what other OCR systems write."""
