#!/usr/bin/env python3
"""The links of Markdown pages that lead nowhere: links.py PAGE..."""
import os
import re
import sys

from sources import lines, report

LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def dead_links(page):
    problems = []
    for number, line in enumerate(lines(page), 1):
        for target in (match.group(1) for match in LINK.finditer(line)):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not os.path.exists(os.path.join(os.path.dirname(page), target)):
                problems.append(f"{page}:{number}: the link to {target} leads nowhere")
    return problems


if __name__ == "__main__":
    report([problem for page in sys.argv[1:] for problem in dead_links(page)])
