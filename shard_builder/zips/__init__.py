"""Zips as they were downloaded: whole, in pieces, in a tar or behind URLs; read, never unpacked."""
