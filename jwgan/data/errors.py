"""What the readers raise."""

from jwgan import check


class DataError(ValueError):
    """A missing or damaged data file; one line naming the file and the remedy."""

    def __init__(self, message: str):
        # File names are strangers' words: a line end or a control character must not reach the
        # terminal.
        super().__init__(check.printable(message))
