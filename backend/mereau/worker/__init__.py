"""The background of an installation: relayer, mirror and periodic jobs, in one process or in several."""
