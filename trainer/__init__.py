"""The trainer: shards -> a fine-tuned recognizer -> EasyOCR."""
