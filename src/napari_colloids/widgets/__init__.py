"""The napari side: readers, writer, sample data, dock widgets. Nothing outside this folder imports Qt or napari."""
