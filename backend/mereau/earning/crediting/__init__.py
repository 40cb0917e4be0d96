"""From occasions to entries: judged, counted, credited."""
