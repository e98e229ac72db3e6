"""The ground room: the nouns that the shard builder, the trainer and the evaluator must agree on."""
