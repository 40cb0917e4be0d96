"""`python -m mereau.cli`: the command line, where the console script is not on the path."""

from mereau.cli import main

main()
