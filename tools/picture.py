# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Run `make demo` and draw what it says as docs/images/demo.svg: `make picture`. Nothing is added or left out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/images/demo.svg"
WIDTH = 100  # characters
# black on nearly white, and the dim, green and red that the demo uses; legible on a dark page, too
THEME = TerminalTheme(
    (250, 250, 250),
    (31, 41, 51),
    [
        (31, 41, 51),
        (186, 37, 37),
        (24, 121, 78),
        (141, 93, 10),
        (9, 103, 210),
        (122, 45, 160),
        (4, 110, 128),
        (82, 96, 109),
    ],
)
# as rich's own, but without fonts from the network
FORMAT = """<svg viewBox="0 20 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>What make demo says</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect fill="#fafafa" stroke="#9aa5b1" x="0" y="20" width="{width}" height="{height}" rx="10"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> int:
    """Run the demo, show what it says, and draw it if all its checks held; return the demo's exit code."""
    # colours, but no animation
    environment = {**os.environ, "FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(WIDTH)}
    said = []
    with subprocess.Popen(
        ["make", "--no-print-directory", "demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            sys.stdout.write(line)
            said.append(line)
    if demo.returncode == 0:
        PICTURE.write_text(draw("".join(said)), encoding="utf-8")
    return demo.returncode


def draw(output: str) -> str:
    """Draw a terminal's output as SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make demo", style="bold"))
    console.print(Text.from_ansi(output.rstrip()), soft_wrap=False)
    return console.export_svg(theme=THEME, code_format=FORMAT, unique_id="demo")


if __name__ == "__main__":
    sys.exit(main())
