"""Days, months and periods in the programme's time zone."""
