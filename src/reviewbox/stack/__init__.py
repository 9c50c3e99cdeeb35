"""A deployed stack: what it consists of and how it is doing."""
