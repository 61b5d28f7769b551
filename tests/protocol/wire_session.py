# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a peer may say when: the receiving half of a connection, written from
"States" in doc/wire-protocol.md. Bytes in; frames, objects and errors out."""

import wire_codec as codec
import wire_json
from wire_error import WireError


class BinarySession:
    """What the other side sends in the binary dialect. OUTSTANDING: the serials of
    this side's own requests that are not answered yet."""

    def __init__(self, limits=None, outstanding=()):
        self.start = bytearray()
        self.preamble = False
        self.hello = None
        self.reader = codec.FrameReader(limits, [])
        self.last_request = 0
        self.outstanding = set(outstanding)
        self.goodbye = None

    def feed(self, data, fds=()):
        """Every frame that is complete now, in order (FDS came with the bytes); a WireError in the list ends it
        if its action is 'drop', and else stands for one request or reply."""
        result = []
        try:
            data = self.take_preamble(data)
            self.reader.feed(data, fds)
            while self.preamble and self.take_frame(result):
                pass
        except WireError as error:
            result.append(error)
        return result

    def take_preamble(self, data):
        if self.preamble:
            return data
        self.start += data
        self.preamble = codec.check_preamble(self.start[:len(codec.PREAMBLE)])
        return bytes(self.start[len(codec.PREAMBLE):]) if self.preamble else b''

    def take_frame(self, result):
        try:
            frame = self.reader.next()
        except WireError as error:
            if error.action == 'drop':
                raise
            header = self.reader.last
            self.check_state(header)
            error.request = header.serial or header.reply_serial
            result.append(error)
            return True
        if frame is None:
            return False
        self.check_state(frame)
        if frame.kind == codec.HELLO:
            self.hello = frame.value
        result.append(frame)
        return True

    def check_state(self, frame):
        """The rules that need more than one frame to tell."""
        kind = frame.kind
        refused = kind == codec.ERROR and frame.reply_serial == 0
        if (self.hello is None) != (kind == codec.HELLO) and not (refused and self.hello is None):
            raise codec.drop('%s %s' % (codec.KINDS[kind], 'again' if self.hello is not None else 'before HELLO'))
        if kind == codec.REQUEST:
            if frame.serial <= self.last_request:
                raise codec.drop('request %d after %d' % (frame.serial, self.last_request))
            self.last_request = frame.serial
        elif kind == codec.GOODBYE and self.goodbye is None:
            self.goodbye = frame.reply_serial
        elif kind in (codec.REPLY, codec.ERROR) and not refused:
            if frame.reply_serial not in self.outstanding:
                raise codec.drop('reply to %d, which is not outstanding' % frame.reply_serial)
            self.outstanding.remove(frame.reply_serial)


class JsonSession:
    """What the other side sends in the JSON dialect."""

    def __init__(self):
        self.reader = wire_json.ObjectReader()

    def feed(self, data):
        """Each object as its checked fields, or the WireError it earned."""
        result = []
        self.reader.feed(data)
        try:
            while True:
                value = self.reader.next()
                if value is None:
                    break
                try:
                    result.append(wire_json.message(value))
                except WireError as error:
                    if error.action == 'drop':
                        raise
                    result.append(error)
        except WireError as error:
            result.append(error)
        return result


def session_for(data):
    """The dialect that the first byte of DATA begins."""
    if data[0] == 0:
        return BinarySession()
    if data[0] in wire_json.FIRST_BYTES:
        return JsonSession()
    raise codec.drop('first byte 0x%02x' % data[0])
