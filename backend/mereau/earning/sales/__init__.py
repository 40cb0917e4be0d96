"""Recording sales, each once."""
