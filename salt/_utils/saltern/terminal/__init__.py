"""What an operator reads: results of verbs and live lines of runs, as text."""
