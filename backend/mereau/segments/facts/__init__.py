"""Figures about members that are kept, because working them out takes a look at every sale."""
