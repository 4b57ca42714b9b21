"""Measurements: the engine beside other libraries, files as large as the memory, protocols that others published."""
