"""From a network's logits to texts: greedy, or by beam search with a language model and a lexicon."""
