"""Rules made ready to run: parsed, compiled and put in order once per version."""
