"""Files that operators upload: photos of rewards, and content to be downloaded."""
