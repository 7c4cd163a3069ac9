"""Record and replay: which recordings a run is played from, the files that carry them, and runs on their way elsewhere."""
