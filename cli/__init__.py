"""The command line: `symdata COMMAND`, one thin module per command. Nothing imports this package."""
