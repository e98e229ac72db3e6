"""Single words with their texts, as other projects keep them, on their way to shards."""
