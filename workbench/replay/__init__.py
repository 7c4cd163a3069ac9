"""Record and replay: which recordings a run is played from, and the files that carry them."""
