"""Sounds and films, decoded where a broken or hostile file can do no harm.

    workers    this process: child processes that live on from file to file, each held to limits
    child      the child: reads the name of a file, answers with an array
    wire       what the two say to each other: fixed headers and plain bytes
    decoders   which decoders there are, by name

A file of media is read by C libraries that were not written for an enemy's bytes. They run in a child process that may
not use more memory and time than it is given, nor write a file; what comes back is checked before it is believed.
"""
