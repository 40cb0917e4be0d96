"""The command `mereau`: what an operator types. Importing this package loads nothing else."""


def main() -> None:
    """Entry point of the console script."""
    from mereau.cli.commands import run

    run()
