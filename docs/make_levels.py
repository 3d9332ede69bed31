"""Draws pictures/levels.svg, the rooms of both packages by level, from their imports.

`python docs/make_levels.py` writes it; tests/test_architecture.py checks that it is up to date.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "levels.svg"
PACKAGES = ("occsynth", "occfer")
Graph = Mapping[str, set[str]]
"""Rooms with the rooms that they import."""

_BOX_WH = (132, 28)
_STEP_XY = (150, 54)
_MARGIN_PX = 24
_TITLE_PX = 40
_FILL = {"occsynth": "#dcebf7", "occfer": "#fbe6d0"}
_EDGE = {"occsynth": "#2f6ea5", "occfer": "#b5651d"}


def modules() -> dict[str, Path]:
    """Every module of both packages by its full name; a package has the name of its folder."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def imported(path: Path, known: Mapping[str, Path], *, whole_file: bool = True) -> Iterator[str]:
    """Full names of the modules that a file imports; `whole_file` includes imports inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if whole_file else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: relative import; write the full name of the module")
            source = node.module or ""
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield full if full in known else source


def room_of(module: str) -> str:
    """`occfer.data` for `occfer.data.packs`: the folder of the package, or the module beside the folders."""
    return ".".join(module.split(".")[:2])


def room_graph(package: str) -> dict[str, set[str]]:
    """What each room of a package imports from the other rooms of that package."""
    known = modules()
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        if module.split(".")[0] == package:
            rooms = {room_of(name) for name in imported(path, known) if name.split(".")[0] == package}
            graph.setdefault(room_of(module), set()).update(rooms - {room_of(module)})
    return graph


def levels(graph: Graph) -> dict[str, int]:
    """The level of each room: one above the highest room that it imports; raises graphlib.CycleError."""
    found: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        found[room] = 1 + max((found[other] for other in graph.get(room, ())), default=-1)
    return found


def direct(graph: Graph) -> dict[str, set[str]]:
    """The graph without the imports that a chain of other imports implies: the arrows of the picture."""
    below: dict[str, set[str]] = {}
    for room in TopologicalSorter(graph).static_order():
        below[room] = set(graph.get(room, ())).union(*(below[other] for other in graph.get(room, ())))
    return {room: {each for each in used if not any(each in below[o] for o in used)} for room, used in graph.items()}


def shown(graph: Graph) -> dict[str, set[str]]:
    """The graph without the packages themselves and the modules that only start them or keep an old import path."""
    left_out = {room for room in graph if "." not in room or room.endswith(".__main__")}
    left_out |= {"occfer.predict", "occfer.train"}
    return {room: used - left_out for room, used in graph.items() if room not in left_out}


def places(graph: Graph) -> dict[str, tuple[float, int]]:
    """Column and level of each room: every level is centred, and ordered by the rooms that it imports."""
    level = levels(graph)
    column: dict[str, float] = {}
    for number in range(max(level.values()) + 1):
        rooms = sorted(room for room in graph if level[room] == number)
        rooms.sort(key=lambda room: _mean([column[other] for other in direct(graph)[room]]))
        for index, room in enumerate(rooms):
            column[room] = index - (len(rooms) - 1) / 2
    return {room: (column[room], level[room]) for room in graph}


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def draw() -> str:
    """The picture as the text of an SVG file: occfer above, occsynth below, the manifest between them."""
    graphs = {package: shown(room_graph(package)) for package in reversed(PACKAGES)}
    where = {package: places(graph) for package, graph in graphs.items()}
    half = max(abs(column) for place in where.values() for column, _ in place.values())
    width = 2 * half * _STEP_XY[0] + _BOX_WH[0] + 2 * _MARGIN_PX
    across = {room_of(module) for module, path in modules().items() if _crosses_the_border(module, path)}
    shapes, top = [], 0.0
    for package, graph in graphs.items():
        highest = max(level for _, level in where[package].values())
        xy = {
            room: (_MARGIN_PX + (half + column) * _STEP_XY[0], top + _TITLE_PX + (highest - level) * _STEP_XY[1])
            for room, (column, level) in where[package].items()
        }
        shapes.append(_text(package, _MARGIN_PX, top + 26, 'font-size="18" font-weight="bold" text-anchor="start"'))
        shapes += [_arrow(xy[room], xy[used]) for room in sorted(graph) for used in sorted(direct(graph)[room])]
        shapes += [_box(room, xy[room], _EDGE["occsynth" if room in across else package]) for room in sorted(graph)]
        top += _TITLE_PX + highest * _STEP_XY[1] + _BOX_WH[1] + _MARGIN_PX
        if package == "occfer":
            shapes.append(f'<path d="M0 {top:g} H{width:g}" stroke="#666" stroke-dasharray="6 5"/>')
            shapes.append(_text("the manifest", width - _MARGIN_PX, top - 7, 'font-size="13" text-anchor="end"'))
    return "\n".join([*_head(width, top), *shapes, "</svg>", ""])


def _crosses_the_border(module: str, path: Path) -> bool:
    return module.startswith("occfer") and any(name.startswith("occsynth") for name in imported(path, modules()))


def _head(width: float, height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="sans-serif" text-anchor="middle">',
        "<title>The rooms of occsynth and occfer by level; each imports only from lower levels</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
    ]


def _text(text: str, x: float, y: float, style: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="#222" {style}>{text}</text>'


def _box(room: str, xy: tuple[float, float], edge: str) -> str:
    package, _, name = room.partition(".")
    (x, y), (width, height) = xy, _BOX_WH
    frame = f'<rect x="{x:g}" y="{y:g}" width="{width}" height="{height}" rx="6" fill="{_FILL[package]}" '
    label = _text(name, x + width / 2, y + 19, 'font-size="14"')
    return f'{frame}stroke="{edge}" stroke-width="{2.5 if edge != _EDGE[package] else 1}"/>{label}'


def _arrow(above_xy: tuple[float, float], below_xy: tuple[float, float]) -> str:
    x, y = above_xy[0] + _BOX_WH[0] / 2, above_xy[1] + _BOX_WH[1]
    end_x, end_y = below_xy[0] + _BOX_WH[0] / 2, below_xy[1]
    middle_y = (y + end_y) / 2
    curve = f"M{x:g} {y:g} C{x:g} {middle_y:g} {end_x:g} {middle_y:g} {end_x:g} {end_y:g}"
    return f'<path d="{curve}" fill="none" stroke="#999"/>'


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
