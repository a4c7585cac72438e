"""The World's tables: what is true, field by field, with the ways to say and ask it."""
