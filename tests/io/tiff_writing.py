"""Files of tests: OME-XML and sets of files as microscopes write them."""

import tifffile

SIZES = 'PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="0.2"'


def uuid(name):
    return f"urn:uuid:{name}"


def ome(images, own=""):
    """Return OME-XML; each image is its shape by axis, the order of its dimensions and its TiffData."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{own}>'
        + "".join(
            f'<Image ID="Image:{n}" Name="pos {n}"><Pixels ID="Pixels:{n}" DimensionOrder="{order}" Type="uint16" '
            + " ".join(f'Size{axis}="{sizes.get(axis, 1)}"' for axis in "XYZCT")
            + f" {SIZES}>"
            + "".join(f'<Channel ID="Channel:{n}:{c}" SamplesPerPixel="1"/>' for c in range(sizes.get("C", 1)))
            + f"{data}</Pixels></Image>"
            for n, (sizes, order, data) in enumerate(images)
        )
        + "</OME>"
    )


def in_file(name, *, planes=1, ifd=0, **first):
    """Return the TiffData of planes in a file of the set."""
    where = " ".join(f'First{axis}="{number}"' for axis, number in first.items())
    return f'<TiffData {where} IFD="{ifd}" PlaneCount="{planes}"><UUID FileName="{name}">{uuid(name)}</UUID></TiffData>'


def write_pages(path, planes, description=None, **kind):
    """Write pages one by one; the first has the description."""
    with tifffile.TiffWriter(path) as file:
        for number, plane in enumerate(planes):
            file.write(plane, description=None if number else description, metadata=None, contiguous=False, **kind)


def write_set(folder, data, order, along, gone=()):
    """Write a set of files, one per position along an axis; all have the whole description.

    `data` has axes ``T, C, Z, Y, X``; those of files that are gone are described and not written.
    """
    sizes = dict(zip("TCZYX", data.shape, strict=True))
    inner = [axis for axis in order[2:] if axis != along]  # the first varies fastest
    per_file = sizes[inner[0]] * sizes[inner[1]]
    names = [f"s_{along.lower()}{k:02d}.ome.tif" for k in range(sizes[along])]
    # Planes of a file are in the order of the dimensions; each has its own TiffData where others lie between.
    where = [
        {along: k, inner[0]: a, inner[1]: b}
        for k in range(sizes[along])
        for b in range(sizes[inner[1]])
        for a in range(sizes[inner[0]])
    ]
    text = "".join(in_file(names[one[along]], ifd=n % per_file, **one) for n, one in enumerate(where))
    for k, name in enumerate(names):
        if k not in gone:
            planes = [data[one["T"], one["C"], one["Z"]] for one in where if one[along] == k]
            write_pages(folder / name, planes, ome([(sizes, order, text)], f' UUID="{uuid(name)}"'))
    return [folder / name for name in names]
