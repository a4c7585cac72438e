"""Whether a config fits a slice of TPUs or some GPUs, how fast it would be, and why: nothing is run."""
