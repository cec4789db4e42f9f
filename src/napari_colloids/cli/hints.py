"""Options that answer a message of the library, which itself knows of no command line."""

#: Words of messages, and the options that set what these are about.
HINTS = {
    "give the axes": ("--axes",),
    "give the voxel size": ("--voxel-size",),
    "needs a voxel_size": ("--voxel-size",),
    "that could be corrected along z": ("--voxel-size",),
    "give that of the stack": ("--voxel-size",),
    "give the right voxel size": ("--voxel-size",),
    "is the voxel size": ("--voxel-size",),
    "the diameter and the voxel size": ("--diameter-um", "--voxel-size"),
    "in voxels or in micrometres, not both": ("--diameter", "--diameter-um"),
    "is of use for the refinement only": ("--refine",),
    "Frames are given as": ("--frames",),
    "There are no frames": ("--frames",),
    "the output must be a folder": ("--output",),
    "tells how all inputs ended": ("--output",),
    "search all again": ("--redo",),
    "give one of them": ("--workers", "--scheduler"),
    "or allow it, to search what is there": ("--allow-missing",),
    "lower the search range": ("--search-range",),
    "give the shape of the stack": ("--shape",),
    "shape of the stack is unknown": ("--shape",),
    "raise the time limit": ("--time-limit",),
    "recall is not known": ("--recall",),
}


def with_hint(message: str) -> str:
    """Return a message followed by the options that it is about, if there are any."""
    options = dict.fromkeys(option for words, named in HINTS.items() if words in message for option in named)
    return f"{message.rstrip('.')} ({', '.join(options)})." if options else message
