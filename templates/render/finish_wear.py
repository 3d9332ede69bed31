"""Turn the raw renders of ``render_wear.py`` into templates; write wear.csv and add them to index.csv.

    python finish_wear.py --raw raw --out . --face ../occsynth/assets/face_geometry/canonical_face.csv

Sprites are trimmed and scaled as ``finish_pack.py`` does.  Each raw picture shows a known window of the mean face's
frame, so the places of the face's landmarks are known in it; wear.csv keeps those that the kind of wear follows.  Needs
occsynth, which names the anchors; no bpy.
"""

import argparse
import csv
import os

import numpy as np
from PIL import Image

from finish_pack import FIELDS, clean_sprite, item_record

from occsynth.templates.wear import ANCHORS, WEAR_COLUMNS

FOLLOWS = {  # kind: how it follows a face; anchors in the middle and on both sides
    "sunglasses": ("similarity", ("nose_bridge",), ("eye_outer", "eye_inner", "temple")),
    "mask": (
        "pieces",
        ("nose_ridge", "nose_tip", "chin"),
        ("ear", "cheekbone", "cheek", "jaw_top", "jaw", "jaw_low", "chin"),
    ),
    "scarf": ("pieces", ("nose_tip", "chin"), ("ear", "cheek", "jaw_top", "jaw", "jaw_low", "chin")),
    "brim": ("similarity", ("brows", "forehead"), ("temple_top", "forehead", "brow", "temple")),
}
WINDOWS = {
    "sunglasses": (10, 34, 102, 76),
    "mask": (10, 50, 102, 126),
    "scarf": (2, 66, 110, 168),
    "brim": (-10, -40, 122, 48),
}
SEE_THROUGH_ALPHA, SEE_THROUGH_SHARE = 230, 0.1


def trimmed_box(alpha):
    """Left, top, width, height of what `clean_sprite` keeps of a raw picture."""
    rows, columns = np.where(alpha >= 6)
    return columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1


def anchors(kind, mesh, image, sprite_wh):
    """The anchors' places in the finished sprite, pixel centres at whole numbers."""
    left, top, right, bottom = WINDOWS[kind]
    height, width = image.shape[:2]
    x0, y0, box_w, box_h = trimmed_box(image[..., 3])
    scale = (sprite_wh[0] - 2) / box_w, (sprite_wh[1] - 2) / box_h
    _, in_middle, on_sides = FOLLOWS[kind]
    names = [*in_middle, *(f"{name}_{side}" for name in on_sides for side in ("left", "right"))]
    places = []
    for name in names:
        u, v = mesh[ANCHORS[name]]
        x = (u - left) * width / (right - left)  # from the left edge of the raw picture
        y = (v - top) * height / (bottom - top)
        places.append(f"{name} {(x - x0) * scale[0] + 0.5:.1f} {(y - y0) * scale[1] + 0.5:.1f}")
    return "; ".join(places)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--face", required=True)
    args = parser.parse_args()
    with open(args.face, newline="") as handle:
        mesh = {int(row["mesh"]): (float(row["x"]), float(row["y"])) for row in csv.DictReader(handle)}
    with open(os.path.join(args.out, "index.csv"), newline="") as handle:
        records = [row for row in csv.DictReader(handle) if row["category"] != "wear"]
    os.makedirs(os.path.join(args.out, "wear"), exist_ok=True)
    lines = []
    for entry in sorted(os.listdir(os.path.join(args.raw, "wear"))):
        stem = os.path.splitext(entry)[0]
        kind = stem.partition("_")[0]
        image = np.array(Image.open(os.path.join(args.raw, "wear", entry)).convert("RGBA"))
        alpha = image[..., 3]
        clear = (
            kind == "sunglasses"
            and ((alpha > 24) & (alpha < SEE_THROUGH_ALPHA)).sum() > SEE_THROUGH_SHARE * (alpha > 24).sum()
        )
        rgb, alpha = clean_sprite(image, 256, clear, False)
        sprite = np.dstack([rgb, alpha]).round().astype(np.uint8)
        Image.fromarray(sprite, "RGBA").save(os.path.join(args.out, "wear", entry), optimize=True)
        record = item_record("wear", stem, alpha)
        records.append(record | {"see_through": str(bool(clear)).lower()})
        fit = FOLLOWS[kind][0]
        lines.append((record["file"], kind, fit, anchors(kind, mesh, image, sprite.shape[1::-1])))
    with open(os.path.join(args.out, "index.csv"), "w", newline="") as handle:
        writer = csv.DictWriter(handle, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    with open(os.path.join(args.out, "wear.csv"), "w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(WEAR_COLUMNS)
        writer.writerows(lines)
    print(len(lines), "templates of wear")


if __name__ == "__main__":
    main()
