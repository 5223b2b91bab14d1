"""From a clean checkout to what an instructor hands out."""
