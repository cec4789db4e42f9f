"""From stacks and particle tables to napari layers and back: readers, writer, sample data, edits by hand."""
