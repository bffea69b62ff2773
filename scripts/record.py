"""The work of scripts/record: runs a command on a terminal, and draws what that showed, line by line, as an animated SVG.

A line of the terminal is one text, shown from when it appeared until it changed. So a picture is as large as what
changed, and a line that stays is one text that stays.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass
from xml.sax.saxutils import escape

import pyte

COLUMNS = int(os.environ.get("COLUMNS", 128))
ROWS = int(os.environ.get("ROWS", 22))
# No two pictures are closer than this; a terminal that is written to more often shows the last.
FRAME_SECONDS = 0.1
# How long the last picture stays before all begins again.
REST_SECONDS = 6
LIMIT_SECONDS = 120

WIDTH, HEIGHT, MARGIN, BAR = 8.43, 19, 16, 30
COLOURS = ("red", "green", "brown", "blue", "magenta", "cyan")


@dataclass
class Run:
    """Text of one look."""

    text: str
    look: str


@dataclass
class Shown:
    """A line while it stood there."""

    row: int
    runs: list[Run]
    since: float
    until: float | None = None


def look(character) -> str:
    words = []
    if character.fg in COLOURS:
        words.append(character.fg)
    if character.bold:
        words.append("bold")
    return " ".join(words)


def line(screen, row: int) -> list[Run]:
    runs: list[Run] = []
    for column in range(COLUMNS):
        character = screen.buffer[row][column]
        if runs and runs[-1].look == look(character):
            runs[-1].text += character.data
        else:
            runs.append(Run(character.data, look(character)))
    while runs and not runs[-1].text.strip():
        runs.pop()
    if runs:
        runs[-1].text = runs[-1].text.rstrip()
    return runs


def watch(command: list[str]) -> tuple[list[Shown], float]:
    """What stood where and when; and how long all took."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began = time.monotonic()
    now = lambda: time.monotonic() - began
    standing: dict[int, Shown] = {}
    gone: list[Shown] = []

    def picture(at: float) -> None:
        for row in range(ROWS):
            runs, before = line(screen, row), standing.get(row)
            if before and before.runs == runs:
                continue
            if before:
                before.until = at
                gone.append(standing.pop(row))
            if runs:
                standing[row] = Shown(row, runs, at)

    last = 0.0
    while now() < LIMIT_SECONDS:
        if select.select([terminal], [], [], FRAME_SECONDS)[0]:
            try:
                bytes_ = os.read(terminal, 65536)
            except OSError:
                # The end of a terminal whose process has gone.
                break
            if not bytes_:
                break
            stream.feed(bytes_)
        if now() - last >= FRAME_SECONDS:
            last = now()
            picture(last)
    else:
        # With all that it has started on its terminal.
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sys.exit(f"record: the command takes longer than {LIMIT_SECONDS} s and was ended; nothing was written")
    length = now()
    picture(length)
    _, status = os.waitpid(child, 0)
    if status != 0:
        sys.exit(f"record: the command failed ({os.waitstatus_to_exitcode(status)}); nothing was written")
    return gone + list(standing.values()), length


def draw(shown: list[Shown], length: float, title: str) -> str:
    total = length + REST_SECONDS
    rows = max((part.row for part in shown), default=0) + 1
    width, height = round(COLUMNS * WIDTH + 2 * MARGIN), BAR + rows * HEIGHT + 2 * MARGIN
    frames, texts, names = [], [], {}
    for part in sorted(shown, key=lambda part: (part.since, part.row)):
        span = (round(part.since / total * 100, 2), round((part.until or total) / total * 100, 2))
        if span[0] >= span[1]:
            continue
        if span not in names:
            names[span] = name = f"f{len(names)}"
            steps = [] if span[0] == 0 else ["0%{opacity:0}"]
            steps.append(f"{span[0]}%{{opacity:1}}")
            if span[1] < 100:
                steps.append(f"{span[1]}%{{opacity:0}}")
            frames.append(f"@keyframes {name}{{{''.join(steps)}}}.{name}{{animation-name:{name}}}")
        y = BAR + MARGIN + part.row * HEIGHT + 13
        spans = "".join(
            f'<tspan class="{run.look}">{escape(run.text)}</tspan>' if run.look else escape(run.text)
            for run in part.runs
        )
        last = "" if part.until else " last"
        texts.append(f'<text class="l {names[span]}{last}" x="{MARGIN}" y="{y}">{spans}</text>')
    dots = "".join(f'<circle class="dot" cx="{MARGIN + 6 + 18 * n}" cy="{BAR / 2}" r="5"/>' for n in range(3))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(title)}">
<!-- Made by scripts/record; it plays {length:.1f} s and begins again. -->
<style>
svg{{--back:#fff;--edge:#d0d7de;--text:#1f2328;--green:#1a7f37;--red:#cf222e;--brown:#9a6700;--blue:#0969da;--magenta:#8250df;--cyan:#1b7c83}}
@media (prefers-color-scheme:dark){{svg{{--back:#0d1117;--edge:#30363d;--text:#e6edf3;--green:#3fb950;--red:#f85149;--brown:#d29922;--blue:#58a6ff;--magenta:#bc8cff;--cyan:#39c5cf}}}}
.back{{fill:var(--back);stroke:var(--edge)}}.dot{{fill:var(--edge)}}
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--text);white-space:pre}}
.title{{fill:var(--text);opacity:.7}}.bold{{font-weight:700}}
{''.join(f'.{colour}{{fill:var(--{colour})}}' for colour in COLOURS)}
.l{{opacity:0;animation-duration:{total:.2f}s;animation-timing-function:step-end;animation-iteration-count:infinite}}
{''.join(frames)}
@media (prefers-reduced-motion:reduce){{.l{{animation:none}}.last{{opacity:1}}}}
</style>
<rect class="back" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>
{dots}<text class="title" x="{width / 2}" y="{BAR / 2 + 5}" text-anchor="middle">{escape(title)}</text>
{chr(10).join(texts)}
</svg>
"""


def main() -> None:
    file, command = sys.argv[1], sys.argv[2:]
    title = os.environ.get("TITLE", " ".join([os.path.basename(command[0]), *command[1:]]))
    picture = draw(*watch(command), title)
    with open(file, "w") as out:
        out.write(picture)


if __name__ == "__main__":
    main()
