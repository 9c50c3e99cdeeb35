"""A deployed stack: its resources, its status and the work to start on it. Nothing here uses a terminal."""
