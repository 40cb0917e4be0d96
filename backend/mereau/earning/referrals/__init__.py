"""Members who bring friends: attribution, qualification, both sides' tokens, and what is refused."""
