#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arrows go one way: tools, examples -> mechanisms -> messaging -> base -> core.

check-layering.py SOURCE-ROOT PUBLIC-HEADER...

Looks at every #include and says which of these does not hold:
 * a folder of the library includes itself and what is below it; a mechanism includes no other mechanism;
 * core/ is plain C: no GLib;
 * a public header includes public headers only, and has the guard that sends people to the umbrella header;
 * the umbrella header includes every public header;
 * tools/ and examples/ know the library by its umbrella header alone.
"""

import pathlib
import re
import sys

LEVELS = {'core': 0, 'base': 1, 'messaging': 2}
MECHANISM_LEVEL = 3
UMBRELLA = 'ipc-glib.h'
GENERATED = {'ipc-version.h', 'ipc-enums.h'}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.MULTILINE)
GLIB = re.compile(r'^(glib|gio|gobject|gmodule|json-glib)\b')
COMMENT = re.compile(r'/\*.*?\*/', re.DOTALL)


class Layering:
    def __init__(self, root, public):
        self.root = root
        self.library = root / 'ipc-glib'
        self.public = {pathlib.Path(path).name for path in public}
        self.folders = sorted(p.name for p in self.library.iterdir() if p.is_dir())
        # header name -> folder, '' for those beside the umbrella
        self.homes = {p.name: '' if p.parent == self.library else p.parent.name
                      for p in self.library.rglob('*.h')}
        self.complaints = []

    def complain(self, path, text):
        self.complaints.append(f'{path.relative_to(self.root)}: {text}')

    @staticmethod
    def level(folder):
        return LEVELS.get(folder, MECHANISM_LEVEL)

    @staticmethod
    def includes(path):
        return INCLUDE.findall(COMMENT.sub('', path.read_text(encoding='utf-8')))

    def check_arrow(self, path, folder, target):
        name = pathlib.PurePath(target).name
        home = self.homes.get(name)
        if home is None:
            if name not in GENERATED and name != 'config.h':
                self.complain(path, f'includes "{target}", which is not in ipc-glib/')
        elif home == '':
            # the common public types: core/ does without them, and the umbrella is for users
            if folder == 'core' or name == UMBRELLA:
                self.complain(path, f'includes "{target}"')
        elif home != folder and self.level(home) >= self.level(folder):
            self.complain(path, f'{folder}/ must not include {home}/ ("{target}")')

    def check_library_file(self, path, folder):
        for bracket, target in self.includes(path):
            if bracket == '"':
                self.check_arrow(path, folder, target)
            elif target.startswith('ipc-glib/'):
                self.complain(path, f'includes <{target}>: that is for users')
            elif folder == 'core' and GLIB.match(target):
                self.complain(path, f'core/ is plain C, and includes <{target}>')

    def check_public_header(self, path):
        for bracket, target in self.includes(path):
            name = pathlib.PurePath(target).name
            if bracket == '"' and name not in self.public and name not in GENERATED:
                self.complain(path, f'is public, and includes "{target}", which is not')
            if bracket == '"' and name != target:
                self.complain(path, f'is installed flat, and includes "{target}" by a folder')
        if path.name != UMBRELLA and 'IPC_GLIB_INSIDE' not in path.read_text(encoding='utf-8'):
            self.complain(path, 'is public, and can be included directly')

    def check_umbrella(self):
        path = self.library / UMBRELLA
        present = {target for bracket, target in self.includes(path) if bracket == '"'}
        for name in sorted((self.public | GENERATED) - present - {UMBRELLA}):
            self.complain(path, f'does not include "{name}"')
        for name in sorted(present - self.public - GENERATED):
            self.complain(path, f'includes "{name}", which is not public')

    def check_user(self, path):
        for bracket, target in self.includes(path):
            name = pathlib.PurePath(target).name
            if bracket == '"' and name in self.homes:
                self.complain(path, f'includes "{target}": <ipc-glib/ipc-glib.h> is all that it may know')
            if bracket == '<' and target.startswith('ipc-glib/') and name != UMBRELLA:
                self.complain(path, f'includes <{target}>')

    def run(self):
        for folder in self.folders:
            for path in sorted((self.library / folder).rglob('*.[ch]')):
                self.check_library_file(path, folder)
        for path in sorted(self.library.rglob('*.h')):
            if path.name in self.public:
                self.check_public_header(path)
        self.check_umbrella()
        for folder in ('tools', 'examples'):
            for path in sorted((self.root / folder).rglob('*.[ch]')):
                self.check_user(path)
        return self.complaints


def main():
    complaints = Layering(pathlib.Path(sys.argv[1]), sys.argv[2:]).run()
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
