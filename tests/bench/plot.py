"""Draws lines as an SVG that is readable on light and on dark pages, printed without colours, and by those who see few of them:
each line has a colour, a marker and its name at its end."""
import collections
import math

# Of a line: colours on light and on dark ground, the marker, and whether it is dashed.
Style = collections.namedtuple("Style", "light dark marker dashed")
# A name, a shorter one for the end of the line, its style, and its points (x, y).
Line = collections.namedtuple("Line", "name label style points")
# A number's place on the drawing, and the ticks: numbers with their texts.
Axis = collections.namedtuple("Axis", "title place ticks")

WIDTH, HEIGHT = 900, 470
LEFT, RIGHT, TOP, BOTTOM = 84, 700, 104, 408
LABEL_HEIGHT = 17
MARKERS = {
    "circle": '<circle r="4.5"/>',
    "square": '<path d="M-4 -4H4V4H-4z"/>',
    "triangle": '<path d="M0 -5.5L5 4H-5z"/>',
    "diamond": '<path d="M0 -6L6 0L0 6L-6 0z"/>',
    "down": '<path d="M0 5.5L5 -4H-5z"/>',
    "ring": '<circle r="4" class="hollow"/>',
}


def text_of(number):
    """Short: 1,500 and 64, but 15k and 1.5M."""
    for size, letter in ((1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1000 if letter == 'k' else 1e6):g}{letter}"
    return f"{number:,g}"


def logarithmic(title, numbers, begin, end, ticks=None):
    """From the smallest to the largest of them, and to a tick; the ticks are 1, 2 and 5 of each power of ten unless given."""
    usual = [digit * 10.0 ** power for power in range(-3, 9) for digit in (1, 2, 5)]
    choice = ticks or usual
    low = max((tick for tick in choice if tick <= min(numbers)), default=min(numbers))
    high = min((tick for tick in choice if tick >= max(numbers)), default=max(numbers))
    high = high if high > low else low * 2
    scale = (end - begin) / math.log(high / low)
    inside = [tick for tick in choice if low <= tick <= high]
    return Axis(title, lambda number: begin + math.log(number / low) * scale, [(tick, text_of(tick)) for tick in inside])


def linear(title, numbers, begin, end):
    """From zero."""
    step = 10.0 ** math.floor(math.log10(max(numbers)))
    step = next(step * factor for factor in (0.1, 0.2, 0.5, 1, 2) if max(numbers) / (step * factor) <= 8)
    high = math.ceil(max(numbers) / step)
    scale = (end - begin) / (high * step)
    return Axis(title, lambda number: begin + number * scale, [(i * step, text_of(i * step)) for i in range(high + 1)])


def apart(places):
    """The places of labels, in order, moved as little as is needed for them not to overlap."""
    moved = []
    for place in places:
        moved.append(max(place, moved[-1] + LABEL_HEIGHT) if moved else place)
    if moved and moved[-1] > BOTTOM:
        moved[-1] = BOTTOM
        for i in range(len(moved) - 2, -1, -1):
            moved[i] = min(moved[i], moved[i + 1] - LABEL_HEIGHT)
    return moved


def style_sheet(lines):
    def colours(shade):
        return "\n".join(f"    .line{i} {{ stroke: {getattr(line.style, shade)}; fill: {getattr(line.style, shade)}; }}"
                         for i, line in enumerate(lines))

    return f"""  <style>
    .ground {{ fill: #fbfcfd; stroke: #d5dce3; }}
    text {{ fill: #1f2933; stroke: none; }}
    .grid {{ stroke: #d5dce3; }}
    .path {{ fill: none; stroke-width: 2.2; }}
    .hollow {{ stroke-width: 2; fill: #fbfcfd; }}
{colours("light")}
    @media (prefers-color-scheme: dark) {{
    .ground, .hollow {{ fill: #15191e; }}
    .ground, .grid {{ stroke: #3a434d; }}
    text {{ fill: #e4e9ee; }}
{colours("dark")}
    }}
    .path {{ fill: none; }}
  </style>"""


def drawn_axes(x, y):
    for number, text in y.ticks:
        place = y.place(number)
        yield f'  <path class="grid" d="M{LEFT} {place:.1f}H{RIGHT}"/>'
        yield f'  <text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{text}</text>'
    for number, text in x.ticks:
        yield f'  <path class="grid" d="M{x.place(number):.1f} {TOP}V{BOTTOM}"/>'
        yield f'  <text x="{x.place(number):.1f}" y="{BOTTOM + 20}" text-anchor="middle">{text}</text>'
    yield f'  <text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 44}" text-anchor="middle">{x.title}</text>'
    middle = (TOP + BOTTOM) / 2
    yield f'  <text x="22" y="{middle}" text-anchor="middle" transform="rotate(-90 22 {middle})">{y.title}</text>'


def drawn_line(i, line, x, y):
    points = [(x.place(a), y.place(b)) for a, b in line.points]
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    dashes = ' stroke-dasharray="7 4"' if line.style.dashed else ""
    yield f'  <g class="line{i}"><title>{line.name}</title><path class="line{i} path"{dashes} d="M{path}"/>'
    for a, b in points:
        yield f'    <g transform="translate({a:.1f} {b:.1f})">{MARKERS[line.style.marker]}</g>'
    yield "  </g>"


def drawn_labels(lines, y):
    ends = sorted((y.place(line.points[-1][1]), i) for i, line in enumerate(lines))
    for (end, i), place in zip(ends, apart([end for end, _ in ends])):
        yield f'  <path class="line{i} path" stroke-width="1" d="M{RIGHT + 8} {end:.1f}L{RIGHT + 20} {place:.1f}"/>'
        yield f'  <text x="{RIGHT + 24}" y="{place + 4:.1f}">{lines[i].label}</text>'


def drawn_legend(lines):
    for i, line in enumerate(lines):
        a, b = LEFT + i % 3 * 262, 58 + i // 3 * 24
        dashes = ' stroke-dasharray="7 4"' if line.style.dashed else ""
        yield (f'  <g class="line{i}"><path class="line{i} path"{dashes} d="M{a} {b}h34"/>'
               f'<g transform="translate({a + 17} {b})">{MARKERS[line.style.marker]}</g></g>')
        yield f'  <text x="{a + 42}" y="{b + 4}">{line.name}</text>'


def drawing(title, lines, x, y):
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"',
             '     font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif" font-size="13">', f"  <title>{title}</title>",
             style_sheet(lines), f'  <rect class="ground" x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="14"/>',
             f'  <text x="{LEFT}" y="32" font-size="16" font-weight="bold">{title}</text>', *drawn_legend(lines), *drawn_axes(x, y)]
    for i, line in enumerate(lines):
        parts.extend(drawn_line(i, line, x, y))
    return "\n".join([*parts, *drawn_labels(lines, y), "</svg>", ""])
