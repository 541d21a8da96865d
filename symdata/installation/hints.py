"""The line that installs what is missing."""


def install_line(extra: str) -> str:
    """The command that installs an extra of symdata."""
    return f"pip install 'symdata[{extra}]'"
