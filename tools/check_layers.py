#!/usr/bin/env python3
"""Fails when an arrow between the parts of src/ points up: a part may include only those before it."""
import pathlib
import re
import sys

ORDER = ["base", "io", "objstore", "pg", "wire", "quorum", "redo", "columnar", "safekeeper",
         "pageserver", "lake", "control", "cli"]
# Side by side: neither may know the other.
FORBIDDEN = {("pageserver", "safekeeper"), ("control", "pageserver"), ("control", "lake"),
             ("control", "safekeeper"), ("objstore", "wire")}
COMPUTE_MAY = {"base", "io", "wire", "quorum", "pg", "redo"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_0-9]+)/[^"]+"', re.M)


def main(root: pathlib.Path) -> int:
    bad = []
    for path in sorted([*root.glob("src/**/*.[ch]"), *root.glob("compute/**/*.[ch]")]):
        part = path.relative_to(root).parts[1] if path.is_relative_to(root / "src") else "compute"
        for target in INCLUDE.findall(path.read_text()):
            if target not in ORDER or target == part:
                continue
            if part == "compute":
                wrong = target not in COMPUTE_MAY
            else:
                wrong = ORDER.index(target) > ORDER.index(part) or (part, target) in FORBIDDEN
            if wrong:
                bad.append(f"{path.relative_to(root)}: {part} must not include {target}")
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
