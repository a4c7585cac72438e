"""The wiring that several scripts share: where models, data, trainer and evals meet."""
