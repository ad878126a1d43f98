"""Data of one's own: files of arrays, folders of images, tables of numbers, and their units."""
