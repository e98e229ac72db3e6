"""What lies in folders of shards: for `stats`, `verify` and `index`."""
