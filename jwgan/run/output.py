"""What a command says on stdout, which its reader may close early: `COMMAND | head`."""

import os
import sys


def show(text: str) -> None:
    """Prints a text on stdout at once; in silence where nobody reads it any more.

    >>> output.show("100 samples")
    100 samples
    """
    try:
        # Flushed here: Python would report a closed pipe at its end, where nobody can catch it.
        print(text, flush=True)
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, or Python would try again when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
