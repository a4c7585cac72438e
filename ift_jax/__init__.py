"""Instruction finetuning and honest evaluation of language models in JAX."""
