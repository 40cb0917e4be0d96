"""Seeds that found something, each with a line that says what: the tests play them for ever."""

FAILED: dict[int, str] = {}
