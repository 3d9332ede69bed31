"""Procedural sunglasses, masks, scarves and hats, own work; every function returns the list of objects to render.

Everything is modelled as it is worn, on the mean face of ``occsynth/assets/face_geometry/canonical_face.csv`` seen from
the front.  Lengths are pixels of that 112 x 112 frame: ``u`` to the right, ``v`` down, ``z`` towards the viewer.
"""

import math

import numpy as np

from blender_common import Material, make_mesh
from shapes import facing_outwards, plain, tube

PX = 1 / 20
"""Blender units in a pixel of the frame."""

MIDDLE = 56.0
"""The frame's column through nose and chin."""


def at(u, v, z):
    """A place of the frame in Blender's coordinates; the viewer looks along +Y."""
    return ((u - 56) * PX, -z * PX, (56 - v) * PX)


def head(u, v):
    """How far the head stands out at a place."""
    return 42 * math.sqrt(max(0.02, 1 - ((u - MIDDLE) / 47) ** 2 - ((v - 60) / 90) ** 2))


def sheet(place, columns, rows, material, thickness=0.6):
    """A cloth: ``place(s, t)`` gives (u, v, z) for s from -1 (left) to 1 and t from 0 (top) to 1, which is its UV."""
    s_axis, t_axis = np.linspace(-1, 1, columns), np.linspace(0, 1, rows)
    points = [at(*place(s, t)) for t in t_axis for s in s_axis]
    faces = [
        (k * columns + i, (k + 1) * columns + i, (k + 1) * columns + i + 1, k * columns + i + 1)
        for k in range(rows - 1)
        for i in range(columns - 1)
    ]
    obj = make_mesh("sheet", points, faces)
    layer = obj.data.uv_layers.new(name="uv")
    for loop in obj.data.loops:
        k, i = divmod(loop.vertex_index, columns)
        layer.data[loop.index].uv = ((s_axis[i] + 1) / 2, t_axis[k])
    obj.data.materials.append(material)
    solid = obj.modifiers.new("solid", "SOLIDIFY")
    solid.thickness, solid.offset = thickness * PX, 1
    return obj


def hem(place, material, radius=0.9, sides=True):
    """A seam around a sheet."""
    steps = np.linspace(-1, 1, 60)
    down = np.linspace(0, 1, 40)
    lines = [[place(s, 0) for s in steps], [place(s, 1) for s in steps]]
    if sides:
        lines += [[place(-1, t) for t in down], [place(1, t) for t in down]]
    return [tube([at(u, v, z + 0.5) for u, v, z in line], radius * PX, material) for line in lines]


def cord(places, radius, material):
    """A string through places, rounded."""
    points = np.array(places, float)
    times = np.linspace(0, len(points) - 1, 8 * len(points))
    smooth = np.stack([np.interp(times, range(len(points)), points[:, k]) for k in range(3)], 1)
    for _ in range(6):
        smooth[1:-1] = (smooth[:-2] + 2 * smooth[1:-1] + smooth[2:]) / 4
    return tube([at(*place) for place in smooth], radius * PX, material)


# cloths -------------------------------------------------------------------------------------------------------------


def fabric(color, weave=260.0, strength=0.25, roughness=0.85, mottle=0.12):
    """Woven cloth of one colour, slightly mottled."""
    m = Material("fabric").set(Roughness=roughness, Sheen_Weight=0.3)
    dark = tuple(c * (1 - mottle) for c in color)
    light = tuple(min(1, c * (1 + mottle)) for c in color)
    m.link(m.ramp(m.noise(m.coord("UV"), 14, 5, 0.6), [(0.35, dark), (0.65, light)]), m.principled.inputs["Base Color"])
    m.link(m.bump(m.noise(m.coord("UV"), weave, 2, 0.5), strength, 0.01), m.principled.inputs["Normal"])
    return m.material


def printed(ground, print_color, pattern, scale=8.0):
    """Cloth with a pattern: ``dots``, ``stripes``, ``check`` or ``flowers``."""
    m = Material("printed").set(Roughness=0.85, Sheen_Weight=0.2)
    uv = m.coord("UV", (1.25, 1, 1))
    if pattern in ("dots", "flowers"):
        node = m.node("ShaderNodeTexVoronoi")
        node.inputs["Scale"].default_value = scale
        node.inputs["Randomness"].default_value = 0.0 if pattern == "dots" else 0.9
        m.link(uv, node.inputs["Vector"])
        shape = m.ramp(node.outputs["Distance"], [(0.26, (1, 1, 1)), (0.30, (0, 0, 0))])
        color = m.mix(shape, ground, print_color)
        if pattern == "flowers":
            heart = m.ramp(node.outputs["Distance"], [(0.09, (1, 1, 1)), (0.12, (0, 0, 0))])
            color = m.mix(heart, color, (0.85, 0.6, 0.1))
    else:
        waves = []
        for turn in (0.0, math.pi / 2)[: 1 if pattern == "stripes" else 2]:
            wave = m.node("ShaderNodeTexWave")
            wave.inputs["Scale"].default_value = scale / 2
            m.link(m.coord("UV", (1.25, 1, 1), (0, 0, turn)), wave.inputs[0])
            waves.append(m.ramp(wave.outputs["Fac"], [(0.48, (0, 0, 0)), (0.54, (1, 1, 1))]))
        share = waves[0] if len(waves) == 1 else m.mix(0.5, *waves)
        color = m.mix(share, ground, print_color)
    m.link(color, m.principled.inputs["Base Color"])
    m.link(m.bump(m.noise(m.coord("UV"), 240, 2, 0.5), 0.2, 0.01), m.principled.inputs["Normal"])
    return m.material


def knitted(color, second=None, columns=46.0, rows=60.0, bands=0.0):
    """Knitted wool: columns of stitches, with stripes of a second colour if ``bands`` says how many."""
    m = Material("knitted").set(Roughness=0.95, Sheen_Weight=0.6)
    shade = m.ramp(m.noise(m.coord("UV"), 30, 4, 0.6), [(0.3, tuple(c * 0.8 for c in color)), (0.7, color)])
    if second is not None:
        wave = m.node("ShaderNodeTexWave", bands_direction="Y")
        wave.inputs["Scale"].default_value = bands / 6.3
        wave.inputs["Distortion"].default_value = 0.3
        m.link(m.coord("UV"), wave.inputs[0])
        shade = m.mix(m.ramp(wave.outputs["Fac"], [(0.49, (0, 0, 0)), (0.53, (1, 1, 1))]), shade, second)
    m.link(shade, m.principled.inputs["Base Color"])
    stitches = []
    for direction, count in (("X", columns), ("Y", rows)):
        wave = m.node("ShaderNodeTexWave", bands_direction=direction)
        wave.inputs["Scale"].default_value = count / 6.3
        wave.inputs["Distortion"].default_value = 1.2
        m.link(m.coord("UV"), wave.inputs[0])
        stitches.append(wave.outputs["Fac"])
    m.link(m.bump(m.math("MULTIPLY", *stitches), 0.8, 0.05), m.principled.inputs["Normal"])
    return m.material


# masks --------------------------------------------------------------------------------------------------------------


def _mask_place(top, sides, bottom, pleats=0, tent=7.0, fold=0.0):
    """A surface over nose, mouth and chin; top, sides, bottom: (v in the middle, v at the side) and half widths."""

    def place(s, t):
        width = sides[0] + (sides[1] - sides[0]) * t**1.4
        u = MIDDLE + s * width
        v_top = top[1] + (top[0] - top[1]) * math.exp(-((s / 0.42) ** 2))
        v_bottom = bottom[1] + (bottom[0] - bottom[1]) * (1 - abs(s) ** 2.2)
        v = v_top + (v_bottom - v_top) * t
        z = head(u, min(v, 112)) + 2
        z += tent * math.exp(-(((u - MIDDLE) / 15) ** 2)) * math.sin(math.pi * min(1, 0.15 + 0.85 * t)) ** 0.8
        z += fold * (1 - abs(s)) ** 1.2 * math.sin(math.pi * min(1.0, 0.1 + 0.9 * t))
        for k in range(pleats):
            middle = 0.28 + 0.2 * k
            if middle <= t < middle + 0.2:
                z += 1.9 * (1 - (t - middle) / 0.2) * (1 - abs(s) ** 4)
        return u, v, z

    return place


def _ear_loops(place, color, radius=0.75):
    material = plain(color, 0.6)
    out = []
    for side in (-1, 1):
        upper, lower = place(0.97 * side, 0.04), place(0.97 * side, 0.95)
        ear = MIDDLE + side * 41.5
        for start, end in ((upper, (ear, 57, 4)), (lower, (ear, 70, 4))):
            middle = ((start[0] + end[0]) / 2 + side * 0.5, (start[1] + end[1]) / 2, (start[2] + end[2]) / 2 + 3)
            out.append(cord([start, middle, end], radius, material))
        out.append(cord([(ear, 57, 4), (ear + side * 1.2, 63, 3), (ear, 70, 4)], radius, material))
    return out


def surgical(color, loop=(0.85, 0.85, 0.85)):
    def make():
        place = _mask_place((57.5, 66), (37.2, 31.0), (119.5, 101), pleats=3)
        cloth = fabric(color, 320, 0.12, 0.7, 0.05)
        edge = fabric(tuple(min(1, c * 0.9) for c in color), 320, 0.1, 0.7, 0.03)
        wire = [tube([at(*[a + b for a, b in zip(place(s, 0.045), (0, 0, 1.0))]) for s in np.linspace(-0.45, 0.45, 30)],
                     1.0 * PX, edge)]  # fmt: skip
        return [sheet(place, 90, 150, cloth), *hem(place, edge, 0.9), *wire, *_ear_loops(place, loop)]

    return make


def respirator(color, loop):
    """A folded FFP2 mask: a ridge down the middle, and welded seams."""

    def make():
        place = _mask_place((56.5, 68), (36.5, 26.0), (118, 104), tent=3.0, fold=15.0)
        cloth = fabric(color, 200, 0.15, 0.75, 0.04)
        seam = fabric(tuple(c * 0.82 for c in color), 200, 0.1, 0.75, 0.02)
        lines = [
            tube([at(*[a + b for a, b in zip(place(s, t), (0, 0, 0.4))]) for s in np.linspace(-0.96, 0.96, 50)],
                 0.45 * PX, seam)
            for t in (0.16, 0.84)
        ]  # fmt: skip
        ridge = tube([at(*[a + b for a, b in zip(place(0, t), (0, 0, 0.3))]) for t in np.linspace(0.02, 0.98, 60)],
                     0.7 * PX, seam)  # fmt: skip
        return [sheet(place, 91, 110, cloth), *hem(place, seam, 0.7), *lines, ridge, *_ear_loops(place, loop)]

    return make


def cloth_mask(material, edge_color, loop):
    """A sewn mask with a seam down the middle."""

    def make():
        place = _mask_place((58.5, 69), (36.0, 27.5), (119, 103), tent=5.0, fold=9.0)
        edge = fabric(edge_color, 260, 0.2)
        seam = tube([at(*[a + b for a, b in zip(place(0, t), (0, 0, 0.1))]) for t in np.linspace(0.01, 0.99, 60)],
                    0.4 * PX, edge)  # fmt: skip
        return [sheet(place, 91, 110, material()), *hem(place, edge, 0.8), seam, *_ear_loops(place, loop)]

    return make


# scarves ------------------------------------------------------------------------------------------------------------


def scarf(material, top=76.0, phase=0.0):
    """A scarf around neck, chin and mouth, in folds."""

    def make():
        def place(s, t):
            width = 43.5 + 5 * math.sin(math.pi * min(1, t * 1.3)) - 3 * (1 - t) ** 6
            u = MIDDLE + s * width
            v_top = top + 2.5 * s * s + 1.2 * math.sin(3 * s + phase)
            v = v_top + (158 - v_top + 6 * (1 - s * s)) * t
            z = 46 * math.sqrt(max(0.02, 1 - (s * 0.97) ** 2)) + 4
            slant = v + 9 * s * math.cos(phase) + 5 * math.sin(1.7 * s + phase)
            z += 3.4 * abs(math.sin(slant / 6.5)) ** 0.7 + 1.5 * math.sin(slant / 3.1 + 2 * s + phase)
            return u, v, z

        return [sheet(place, 120, 190, material(), 1.5)]

    return make


# hats ---------------------------------------------------------------------------------------------------------------


def _crown(top, low, width, material, depth=44.0, power=2.4):
    """The half of a ball above a hat's brim; the larger ``power``, the squarer."""

    def place(s, t):
        half = width * (1 - (1 - t) ** power * 0.999) ** (1 / power)
        u = MIDDLE + s * half
        v = top + (low - top) * t - 2.5 * s * s * t
        return u, v, depth * math.sqrt(max(0.02, (t + 0.05) * (1 - (0.985 * s) ** 2))) + 2

    return sheet(place, 100, 80, material)


def _visor(material, reach=41.0, width=41.0):
    def place(s, t):
        u = MIDDLE + s * width * (0.98 + 0.04 * t)
        inner = 27 - 2.5 * s * s
        outer = reach - 8 * s * s
        v = inner + (outer - inner) * t
        return u, v, 44 * math.sqrt(max(0.03, 1 - (0.95 * s) ** 2)) + 26 * t * (1 - 0.5 * s * s)

    return [sheet(place, 80, 30, material, 1.2), *hem(place, material, 0.9, sides=False)]


def cap(color, visor_color, reach=41.0):
    """A baseball cap: crown, button, seams, visor."""

    def make():
        cloth, visor = fabric(color, 220, 0.3, 0.85), fabric(visor_color, 220, 0.3, 0.8)
        crown = _crown(-24, 30, 43.5, cloth)
        seam = fabric(tuple(c * 0.7 for c in color))
        middle = [
            at(MIDDLE, v, 46 * math.sqrt(max(0.05, (v + 24) / 54 + 0.05)) + 2) for v in np.linspace(-23.5, 26, 30)
        ]
        band = [at(MIDDLE + 42.5 * s, 29 - 2.5 * s * s, 45 * math.sqrt(max(0.03, 1 - (0.985 * s) ** 2)) + 2)
                for s in np.linspace(-1, 1, 50)]  # fmt: skip
        return [crown, tube(middle, 0.5 * PX, seam), tube(band, 1.0 * PX, seam), *_visor(visor, reach)]

    return make


def beanie(material, fold_material, low=35.0):
    """A knitted cap with a folded rim, drawn down over the forehead."""

    def make():
        def rim(s, t):
            u = MIDDLE + 44 * s
            v = low - 17 * (1 - t) - 3.5 * s * s
            return u, v, 45 * math.sqrt(max(0.03, 1 - (0.985 * s) ** 2)) + 5 + 2.0 * math.sin(math.pi * t)

        return [_crown(-30, low - 10, 43.0, material(), power=2.6), sheet(rim, 110, 30, fold_material(), 2.0)]

    return make


def brimmed(material, ribbon, width=60.0, low=37.0):
    """A hat with a round brim and a ribbon."""

    def make():
        def brim(s, t):
            u = MIDDLE + s * width
            arch = math.sqrt(max(0.0, 1 - s * s))
            v = 24 + 3 * s * s + (t - 0.45) * 2 * (low - 24) * arch * (0.9 if t > 0.45 else 0.7)
            return u, v, 40 + 32 * t * arch

        def band(s, t):
            u = MIDDLE + 38.5 * s
            return u, 12 + 9 * t + 2.5 * (1 - s * s), 44 * math.sqrt(max(0.03, 1 - (0.98 * s) ** 2)) + 6

        cloth = material()
        crown, ribbon_round_it = _crown(-32, 24, 38.0, cloth, power=5.0), sheet(band, 80, 12, fabric(ribbon, 200, 0.2))
        return [crown, sheet(brim, 120, 40, cloth, 1.2), *hem(brim, cloth, 0.8, sides=False), ribbon_round_it]

    return make


# sunglasses ---------------------------------------------------------------------------------------------------------


def lens(color, opacity=1.0, mirror=0.0, fade=0.0):
    """Dark glass: ``opacity`` is the share of light that it stops, ``fade`` how much less it stops at the bottom."""
    m = Material("lens").set(Base_Color=color, Roughness=0.06, Metallic=mirror, Specular_IOR_Level=0.7)
    clear = m.node("ShaderNodeBsdfTransparent")
    mixed = m.node("ShaderNodeMixShader")
    if fade:
        height = m.axis("Generated", 2)
        m.link(m.math("SUBTRACT", opacity, m.math("MULTIPLY", m.math("SUBTRACT", 1.0, height), fade)), mixed.inputs[0])
    else:
        mixed.inputs[0].default_value = opacity
    m.link(clear.outputs[0], mixed.inputs[1])
    m.link(m.principled.outputs[0], mixed.inputs[2])
    m.link(mixed.outputs[0], m.output.inputs[0])
    return m.material


def _superellipse(a, b, power, count=72):
    turns = np.linspace(0, 2 * math.pi, count, endpoint=False)
    c, s = np.cos(turns), np.sin(turns)
    return np.stack([a * np.sign(c) * abs(c) ** (2 / power), b * np.sign(s) * abs(s) ** (2 / power)], 1)


def _outline(shape):
    """The outline of the left lens in (outwards, down) from its middle."""
    if shape == "aviator":
        points = _superellipse(14.6, 12.4, 2.5)
        points[:, 0] += 2.2 * np.clip(points[:, 1] / 12, -1, 1) * np.where(points[:, 0] < 0, -0.2, -1) * 0.9
        points[:, 0] += np.where(points[:, 0] < 0, points[:, 1].clip(0) * 0.28, 0)
    elif shape == "wayfarer":
        points = _superellipse(14.8, 10.6, 3.4)
        points[:, 0] *= 1 - 0.13 * points[:, 1] / 10.6
        points[:, 1] -= 0.12 * points[:, 0].clip(0)
    elif shape == "round":
        points = _superellipse(12.4, 12.0, 2.0)
    elif shape == "cat":
        points = _superellipse(14.8, 9.8, 2.5)
        points[:, 1] -= 4.2 * (points[:, 0].clip(0) / 14.8) ** 2 * (points[:, 1] < 3)
    elif shape == "square":
        points = _superellipse(15.2, 12.2, 5.0)
    else:  # rectangle
        points = _superellipse(14.4, 8.0, 5.0)
    return points


def _front(u, v):
    """How far the front of sunglasses stands out."""
    return 47 - 0.0085 * (u - MIDDLE) ** 2 + 0.05 * (56 - v)


def _pane(outline_uv, material, dome=1.2):
    centre = outline_uv.mean(0)
    rings = (1.0, 0.8, 0.55, 0.3, 0.1)
    vertices, faces, n = [], [], len(outline_uv)
    for share in rings:
        for u, v in centre + (outline_uv - centre) * share:
            vertices.append(at(u, v, _front(u, v) + dome * (1 - share**2)))
    for k in range(len(rings) - 1):
        faces += [(k * n + i, k * n + (i + 1) % n, (k + 1) * n + (i + 1) % n, (k + 1) * n + i) for i in range(n)]
    faces.append(tuple((len(rings) - 1) * n + i for i in range(n)))
    obj = make_mesh("lens", vertices, faces)
    return facing_outwards(obj, material)


def _bar(places, radius, material):
    return cord([(u, v, _front(u, v) + 0.4 if z is None else z) for u, v, z in places], radius, material)


def sunglasses(shape, frame, glass, rim=1.1, drop=1.0, apart=17.6):
    """A pair of sunglasses: two lenses, rims, a bridge, and the beginning of the arms towards the ears."""

    def make():
        material, pane = frame(), glass()
        outline, out = _outline(shape), []
        for side in (-1, 1):
            points = np.stack([MIDDLE + side * (apart + outline[:, 0]), 52.0 + drop + outline[:, 1]], 1)
            out.append(_pane(points, pane))
            closed = [*points, points[0], points[1]]
            out.append(tube([at(u, v, _front(u, v) + 0.3) for u, v in closed], rim * PX, material))
            hinge_v = 52 + drop - 0.55 * abs(outline[:, 1].min())
            far = MIDDLE + side * (apart + outline[:, 0].max())
            arm = [
                (far - side * 1.2, hinge_v, None),
                (MIDDLE + side * 37.6, hinge_v + 0.2, 26),
                (MIDDLE + side * 40.0, hinge_v + 1.2, 2),
            ]
            out.append(_bar(arm, max(0.9, rim * 0.9), material))
        inner = apart + outline[:, 0].min()
        level = 52 + drop - (4.2 if shape != "round" else 2.0)
        bridge = [(MIDDLE - inner, level + 1.0, None), (MIDDLE, level - 1.6, 49), (MIDDLE + inner, level + 1.0, None)]
        out.append(_bar(bridge, max(0.9, rim), material))
        if shape == "aviator":
            top = 52 + drop - 10.6
            out.append(
                _bar([(MIDDLE - 12, top, None), (MIDDLE, top - 0.2, 49), (MIDDLE + 12, top, None)], 0.8, material)
            )
        return out

    return make


def shield(frame, glass):
    """Sports glasses: one wide pane."""

    def make():
        upper = [(MIDDLE + 36 * s, 41.5 + 2.5 * s * s) for s in np.linspace(-1, 1, 40)]
        lower = [(MIDDLE + 35 * s, 63 - 9 * math.exp(-((s / 0.16) ** 2)) - 5.5 * s**4) for s in np.linspace(1, -1, 60)]
        outline = np.array(upper + lower)
        material = frame()
        n = 50
        vertices, faces = [], []
        for s in np.linspace(-1, 1, n):
            u_low, v_low = MIDDLE + 35 * s, 63 - 9 * math.exp(-((s / 0.16) ** 2)) - 5.5 * s**4
            u_high, v_high = MIDDLE + 36 * s, 41.5 + 2.5 * s * s
            for t in np.linspace(0, 1, 8):
                u, v = u_high + (u_low - u_high) * t, v_high + (v_low - v_high) * t
                vertices.append(at(u, v, _front(u, v) + 1.2 * math.sin(math.pi * t)))
        faces = [
            (i * 8 + k, (i + 1) * 8 + k, (i + 1) * 8 + k + 1, i * 8 + k + 1) for i in range(n - 1) for k in range(7)
        ]
        pane = make_mesh("shield", vertices, faces)
        pane.data.materials.append(glass())
        brow = tube([at(u, v - 0.4, _front(u, v) + 0.6) for u, v in upper], 1.5 * PX, material)
        rim = tube([at(u, v, _front(u, v) + 0.3) for u, v in [*outline, outline[0]]], 0.6 * PX, material)
        arms = [
            _bar(
                [(MIDDLE + 35.5 * k, 45, None), (MIDDLE + 38.5 * k, 47, 24), (MIDDLE + 40.3 * k, 50.5, 2)],
                1.6,
                material,
            )
            for k in (-1, 1)
        ]
        return [pane, brow, rim, *arms]

    return make


def metal(color, roughness=0.25):
    return lambda: plain(color, roughness, 1.0)


def acetate(color, roughness=0.15):
    return lambda: plain(color, roughness, 0.0, Coat_Weight=0.4)


def tortoise():
    m = Material("tortoise").set(Roughness=0.15, Coat_Weight=0.4)
    m.link(
        m.ramp(m.noise(m.coord(), 5, 4, 0.6), [(0.42, (0.03, 0.012, 0.005)), (0.6, (0.35, 0.14, 0.03))]),
        m.principled.inputs["Base Color"],
    )
    return m.material


WEAR = {
    "sunglasses_aviator_gold_green": (
        "sunglasses",
        sunglasses("aviator", metal((0.8, 0.55, 0.2)), lambda: lens((0.02, 0.05, 0.025), 0.82), 0.7),
    ),
    "sunglasses_aviator_silver_mirror": (
        "sunglasses",
        sunglasses("aviator", metal((0.75, 0.76, 0.78)), lambda: lens((0.35, 0.45, 0.6), 1.0, 0.85), 0.7),
    ),
    "sunglasses_wayfarer_black": (
        "sunglasses",
        sunglasses("wayfarer", acetate((0.008, 0.008, 0.009)), lambda: lens((0.006, 0.006, 0.007)), 1.7),
    ),
    "sunglasses_wayfarer_tortoise": (
        "sunglasses",
        sunglasses("wayfarer", tortoise, lambda: lens((0.07, 0.03, 0.012), 0.86, fade=0.35), 1.7),
    ),
    "sunglasses_wayfarer_blue": (
        "sunglasses",
        sunglasses("wayfarer", acetate((0.02, 0.07, 0.3)), lambda: lens((0.01, 0.012, 0.02), 0.9), 1.6),
    ),
    "sunglasses_round_gold_black": (
        "sunglasses",
        sunglasses("round", metal((0.7, 0.45, 0.15)), lambda: lens((0.01, 0.01, 0.011)), 0.7),
    ),
    "sunglasses_round_black_purple": (
        "sunglasses",
        sunglasses("round", metal((0.02, 0.02, 0.02), 0.4), lambda: lens((0.1, 0.03, 0.13), 0.72), 0.8),
    ),
    "sunglasses_cat_red": (
        "sunglasses",
        sunglasses("cat", acetate((0.5, 0.015, 0.02)), lambda: lens((0.015, 0.01, 0.01)), 1.6),
    ),
    "sunglasses_cat_white": (
        "sunglasses",
        sunglasses("cat", acetate((0.85, 0.84, 0.8)), lambda: lens((0.03, 0.03, 0.035), 0.92), 1.6),
    ),
    "sunglasses_square_brown": (
        "sunglasses",
        sunglasses("square", acetate((0.06, 0.025, 0.012)), lambda: lens((0.05, 0.022, 0.01), 0.95, fade=0.3), 1.5),
    ),
    "sunglasses_rectangle_grey": (
        "sunglasses",
        sunglasses("rectangle", acetate((0.12, 0.13, 0.14)), lambda: lens((0.012, 0.012, 0.013)), 1.4),
    ),
    "sunglasses_sport_orange": (
        "sunglasses",
        shield(acetate((0.02, 0.02, 0.02), 0.4), lambda: lens((0.75, 0.22, 0.03), 1.0, 0.6)),
    ),
    "mask_surgical_blue": ("mask", surgical((0.24, 0.52, 0.66))),
    "mask_surgical_white": ("mask", surgical((0.78, 0.79, 0.8))),
    "mask_surgical_black": ("mask", surgical((0.016, 0.016, 0.018), (0.02, 0.02, 0.02))),
    "mask_surgical_green": ("mask", surgical((0.22, 0.5, 0.36))),
    "mask_ffp2_white": ("mask", respirator((0.76, 0.76, 0.74), (0.8, 0.8, 0.78))),
    "mask_ffp2_black": ("mask", respirator((0.02, 0.02, 0.022), (0.02, 0.02, 0.02))),
    "mask_cloth_dots": (
        "mask",
        cloth_mask(
            lambda: printed((0.05, 0.08, 0.25), (0.85, 0.85, 0.85), "dots", 11), (0.04, 0.06, 0.2), (0.8, 0.8, 0.8)
        ),
    ),
    "mask_cloth_stripes": (
        "mask",
        cloth_mask(
            lambda: printed((0.8, 0.78, 0.72), (0.45, 0.04, 0.06), "stripes", 7), (0.4, 0.04, 0.06), (0.8, 0.8, 0.8)
        ),
    ),
    "mask_cloth_check": (
        "mask",
        cloth_mask(
            lambda: printed((0.8, 0.8, 0.76), (0.06, 0.2, 0.12), "check", 6), (0.05, 0.16, 0.1), (0.1, 0.1, 0.1)
        ),
    ),
    "mask_cloth_flowers": (
        "mask",
        cloth_mask(
            lambda: printed((0.72, 0.62, 0.5), (0.62, 0.12, 0.2), "flowers", 8), (0.5, 0.4, 0.3), (0.8, 0.8, 0.8)
        ),
    ),
    "mask_cloth_grey": (
        "mask",
        cloth_mask(lambda: fabric((0.16, 0.165, 0.18)), (0.12, 0.12, 0.13), (0.05, 0.05, 0.05)),
    ),
    "scarf_wool_red": ("scarf", scarf(lambda: knitted((0.42, 0.03, 0.035)), 77, 0.0)),
    "scarf_wool_grey": ("scarf", scarf(lambda: knitted((0.3, 0.3, 0.31)), 72, 1.2)),
    "scarf_stripes_navy": ("scarf", scarf(lambda: knitted((0.02, 0.035, 0.12), (0.7, 0.68, 0.6), bands=9), 80, 2.1)),
    "scarf_check_camel": ("scarf", scarf(lambda: printed((0.55, 0.36, 0.16), (0.12, 0.05, 0.03), "check", 9), 74, 3.4)),
    "scarf_cotton_green": ("scarf", scarf(lambda: fabric((0.1, 0.22, 0.12), 220, 0.3), 79, 4.4)),
    "brim_cap_blue": ("brim", cap((0.03, 0.08, 0.32), (0.03, 0.08, 0.32), 41)),
    "brim_cap_red_black": ("brim", cap((0.5, 0.03, 0.03), (0.02, 0.02, 0.02), 43)),
    "brim_cap_khaki": ("brim", cap((0.36, 0.29, 0.17), (0.32, 0.25, 0.14), 40)),
    "brim_beanie_grey": (
        "brim",
        beanie(lambda: knitted((0.22, 0.22, 0.23)), lambda: knitted((0.22, 0.22, 0.23), columns=70, rows=12), 36),
    ),
    "brim_beanie_mustard": (
        "brim",
        beanie(lambda: knitted((0.6, 0.36, 0.04)), lambda: knitted((0.6, 0.36, 0.04), columns=70, rows=12), 39),
    ),
    "brim_hat_straw": (
        "brim",
        brimmed(lambda: knitted((0.72, 0.52, 0.26), columns=90, rows=90), (0.05, 0.05, 0.06), 62, 38),
    ),
    "brim_hat_felt": ("brim", brimmed(lambda: fabric((0.12, 0.07, 0.04), 160, 0.4), (0.03, 0.02, 0.015), 56, 36)),
}
"""What is worn, by name: its kind, and what makes it."""

WINDOWS = {
    "sunglasses": (10, 34, 102, 76),
    "mask": (10, 50, 102, 126),
    "scarf": (2, 66, 110, 168),
    "brim": (-10, -40, 122, 48),
}
"""Left, top, right and bottom of what is rendered of each kind, in pixels of the frame."""
