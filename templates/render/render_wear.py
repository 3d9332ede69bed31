"""Render what people wear on their faces (own work): sunglasses, masks, scarves and hats, seen from the front.

    python render_wear.py --out raw [--only NAME ...] [--size 300] [--samples 14]

Writes raw/wear/*.png.  The camera has no perspective and shows a fixed window of the mean face's frame
(``wear.WINDOWS``), so that ``finish_wear.py`` knows where the landmarks of that face lie in each picture.  See
``blender_common.py`` for bpy.
"""

import argparse
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bpy
import mathutils

import wear
from blender_common import HDRIS, add_area_light, render_to, reset_scene


def look_at_window(window, size):
    """A camera that shows exactly the window."""
    left, top, right, bottom = window
    longest = max(right - left, bottom - top)
    scene = bpy.context.scene
    scene.render.resolution_x = round(size * (right - left) / longest)
    scene.render.resolution_y = round(size * (bottom - top) / longest)
    data = bpy.data.cameras.new("camera")
    data.type, data.ortho_scale = "ORTHO", longest * wear.PX
    camera = bpy.data.objects.new("camera", data)
    bpy.context.collection.objects.link(camera)
    camera.location = wear.at((left + right) / 2, (top + bottom) / 2, 400)
    camera.rotation_euler = mathutils.Euler((math.pi / 2, 0, 0))
    scene.camera = camera


def render_item(name, index, folder, size, samples, threads):
    kind, make = wear.WEAR[name]
    scene = reset_scene(
        size, samples, HDRIS[index % 3], 0.65, rotation=index * 0.9 % math.tau, threads=threads, seed=index
    )
    scene.cycles.transparent_max_bounces = 8
    make()
    add_area_light((-4, -5, 5), 230, 3, (1, 0.97, 0.93))
    add_area_light((5, -5, 2), 80, 3, (0.94, 0.97, 1))
    look_at_window(wear.WINDOWS[kind], size)
    path = os.path.join(folder, "wear", f"{name}.png")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path, render_to(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--samples", type=int, default=14)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names to render; all without it")
    args = parser.parse_args()
    for index, name in enumerate(wear.WEAR):
        if args.only and name not in args.only:
            continue
        path, seconds = render_item(name, index, args.out, args.size, args.samples, args.threads)
        print(f"rendered {path} in {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
