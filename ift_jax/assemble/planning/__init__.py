"""Whether a config fits a slice of TPUs, how fast it would be, and why: nothing is run."""
