"""Where the nodes of a graph go in a drawing: layers from left to right, few crossings, short arrows.

After Sugiyama, Tagawa and Toda (1981, doi:10.1109/TSMC.1981.4308636): layers by the longest path, long arrows cut by
way points, orders within the layers by barycentres, then positions nearest to the neighbours' that keep apart.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

Edge = tuple[str, str]
_SWEEPS = 12
_RELAXATIONS = 200
_STRAIGHTNESS = 20.0


@dataclasses.dataclass(frozen=True)
class Layout:
    """`layer` and `height` (upwards, of the centre) of each node; `routes`: the nodes and way points of each edge."""

    layer: Mapping[str, int]
    height: Mapping[str, float]
    routes: Mapping[Edge, Sequence[str]]


def lay_out(sizes: Mapping[str, float], edges: Sequence[Edge], inputs: Sequence[str], gap: float) -> Layout:
    """Place nodes of the given heights, in topological order, at least `gap` apart within a layer."""
    layer = assign_layers(list(sizes), edges, inputs)
    heights, links, routes = dict(sizes), [], {}
    for parent, child in edges:
        points = [parent]
        for step in range(layer[parent] + 1, layer[child]):
            points.append(f"{parent}->{child}@{step}")
            layer[points[-1]], heights[points[-1]] = step, 0.0
        points.append(child)
        routes[parent, child] = points
        links += list(itertools.pairwise(points))
    columns = _order(
        [[name for name in layer if layer[name] == step] for step in range(max(layer.values()) + 1)], links
    )
    return Layout(layer, _positions(columns, _weighted(links, inputs), heights, gap), routes)


def assign_layers(names: Sequence[str], edges: Sequence[Edge], inputs: Sequence[str]) -> dict[str, int]:
    """One more than the deepest parent; an input just before its first child.

    >>> assign_layers(["x", "t", "z", "L"], [("x", "z"), ("z", "L"), ("t", "L")], ["x", "t"])
    {'x': 0, 't': 1, 'z': 1, 'L': 2}
    """
    layer = dict.fromkeys(names, 0)
    for name in names:
        layer[name] = max((layer[parent] + 1 for parent, child in edges if child == name), default=0)
    for name in inputs:
        layer[name] = min((layer[child] - 1 for parent, child in edges if parent == name), default=0)
    return layer


def _order(columns: list[list[str]], links: Sequence[Edge]) -> list[list[str]]:
    """Sort each layer by the mean position of its neighbours, to and fro; the order with the fewest crossings."""
    best, fewest = [list(column) for column in columns], _crossings(columns, links)
    for sweep in range(_SWEEPS):
        order = range(len(columns)) if sweep % 2 else reversed(range(len(columns)))
        for index in order:
            side = columns[index - 1] if sweep % 2 and index else columns[index + 1] if index + 1 < len(columns) else []
            place = {name: rank / max(len(side) - 1, 1) for rank, name in enumerate(side)}
            columns[index] = _sorted_by_neighbours(columns[index], links, place)
        crossings = _crossings(columns, links)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    return best


def _sorted_by_neighbours(column: list[str], links: Sequence[Edge], place: Mapping[str, float]) -> list[str]:
    keys = {}
    for rank, name in enumerate(column):
        near = [place[other] for other in _neighbours(name, links) if other in place]
        keys[name] = sum(near) / len(near) if near else rank / max(len(column) - 1, 1)
    return sorted(column, key=keys.__getitem__)


def _neighbours(name: str, links: Sequence[Edge]) -> list[str]:
    return [parent if child == name else child for parent, child in links if name in (parent, child)]


def _crossings(columns: Sequence[Sequence[str]], links: Sequence[Edge]) -> int:
    rank = {name: (index, place) for index, column in enumerate(columns) for place, name in enumerate(column)}
    ends = [(rank[parent], rank[child]) for parent, child in links]
    return sum(
        one[0][0] == two[0][0] and (one[0][1] - two[0][1]) * (one[1][1] - two[1][1]) < 0
        for index, one in enumerate(ends)
        for two in ends[index + 1 :]
    )


def _weighted(links: Sequence[Edge], inputs: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
    """Each node's neighbours with weights: arrows between results count more, which straightens the main line."""
    near: dict[str, list[tuple[str, float]]] = {}
    for parent, child in links:
        weight = 1.0 if parent in inputs else _STRAIGHTNESS
        near.setdefault(parent, []).append((child, weight))
        near.setdefault(child, []).append((parent, weight))
    return near


def _positions(
    columns: Sequence[Sequence[str]],
    near: Mapping[str, Sequence[tuple[str, float]]],
    sizes: Mapping[str, float],
    gap: float,
) -> dict[str, float]:
    """Heights that draw each node towards the weighted mean of its neighbours."""
    height: dict[str, float] = {}
    for column in columns:
        _separate(column, dict.fromkeys(column, 0.0), sizes, gap, height)
    for sweep in range(_RELAXATIONS):
        for column in columns if sweep % 2 else reversed(columns):
            wishes = {}
            for name in column:
                pulls = near.get(name, [(name, 1.0)])
                total = sum(weight for _, weight in pulls)
                wishes[name] = sum(weight * height[other] for other, weight in pulls) / total
            _separate(column, wishes, sizes, gap, height)
    return height


def _separate(
    column: Sequence[str], wishes: Mapping[str, float], sizes: Mapping[str, float], gap: float, height: dict[str, float]
) -> None:
    """The heights nearest to the wishes, in least squares, that keep order (downwards) and distance.

    Less the distances from the top, the heights must not increase: pool neighbours that violate it (isotonic
    regression).
    """
    offsets, total = [], 0.0
    for before, name in zip([None, *column], column, strict=False):
        total += (sizes[before] + sizes[name]) / 2 + gap if before is not None else 0.0
        offsets.append(total)
    pools: list[tuple[float, int]] = []
    for name, offset in zip(column, offsets, strict=True):
        mean, count = wishes[name] + offset, 1
        while pools and pools[-1][0] < mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    level = [mean for mean, count in pools for _ in range(count)]
    height.update({name: mean - offset for name, mean, offset in zip(column, level, offsets, strict=True)})
