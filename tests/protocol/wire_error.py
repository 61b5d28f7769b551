# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a receiver has against some bytes, and what it does next."""


class WireError(Exception):
    """NICK goes over the wire; ACTION is 'drop' (answer if possible, then close),
    'reply' (an ERROR answers the request), 'fail' (the request that this would
    have answered has failed) or 'continue' (a JSON error object;
    the next object is read)."""

    def __init__(self, nick, text, action):
        super().__init__(text)
        self.nick = nick
        self.action = action
        self.request = None
