# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the programs under test, each test in a directory and a scope of its own."""

import functools
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import tempfile
import threading

import tap

DEADLINE = 30


def run(*command, input=None, **options):
    """Runs a program to its end; what it prints is bytes."""
    stdin = {'input': input} if input is not None else {'stdin': subprocess.DEVNULL}
    return subprocess.run(command, capture_output=True, timeout=DEADLINE, **stdin, **options)


class Program:
    """A program that runs beside the test. It is gone when the with block is left."""

    def __init__(self, *command, **options):
        options.setdefault('stdin', subprocess.DEVNULL)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.pid = self.process.pid
        self.stdout = self._read(self.process.stdout)
        self.stderr = self._read(self.process.stderr)

    def _read(self, stream):
        lines = queue.Queue()

        def pump():
            with stream:
                for line in stream:
                    lines.put(line)
            lines.put(None)
        threading.Thread(target=pump, daemon=True).start()
        return lines

    def line(self, lines):
        """The next line, without its end; None at the end of the stream."""
        line = lines.get(timeout=DEADLINE)
        if line is None:
            lines.put(None)
        return None if line is None else line.decode().rstrip('\n')

    def rest(self, lines):
        return list(iter(lambda: self.line(lines), None))

    def end(self, number=None):
        """Its exit status, after the signal if one is given."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(timeout=DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


def need_terminals():
    try:
        for fd in os.openpty():
            os.close(fd)
    except OSError as error:
        raise tap.Skip('no terminals here: %s' % error)


def case(function):
    """A test that gets an empty directory, with a scope and a place for temporary files in it. Of the latter
    nothing may be left."""
    @functools.wraps(function)
    def wrapper():
        directory = pathlib.Path(tempfile.mkdtemp(prefix='tools-'))
        (directory / 'temporary').mkdir()
        os.environ['IPC_GLIB_DIR'] = str(directory / 'scope')
        os.environ['TMPDIR'] = str(directory / 'temporary')
        try:
            function(directory)
            tap.equal(os.listdir(directory / 'temporary'), [], 'temporary files left')
        finally:
            shutil.rmtree(directory)
    wrapper.name = function.__name__.replace('_', '-')
    return wrapper


def run_cases(*functions):
    return tap.run([(function.name, function) for function in functions])
