"""What several suites share: the real program as a subprocess."""
