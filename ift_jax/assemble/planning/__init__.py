"""Whether a config fits a slice of TPUs or a host of GPUs, how fast, and why: nothing is run."""
