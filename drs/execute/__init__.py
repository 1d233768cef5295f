"""Plans carried out: a journal, guards before each move, proof after it, and the way back."""
