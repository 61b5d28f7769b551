# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ipc.Message in Python: what it can be made of, and what can be read from it."""

import array

from case import Case, Gio, GLib, Ipc
import tap

FORMATS = Ipc.PayloadFormat


class TestMessage(Case):
    def test_bytes(self):
        every_byte = bytes(range(256))
        for payload in (every_byte, bytearray(every_byte), memoryview(every_byte), array.array('B', every_byte),
                        memoryview(every_byte * 2)[::2], GLib.Bytes.new(every_byte)):
            with self.subTest(type(payload).__name__):
                message = Ipc.Message('data', payload)
                self.assertEqual(message.format, FORMATS.BYTES)
                self.assertEqual(len(message.payload), 256)
                self.assertIsNone(message.text)
                self.assertIsNone(message.json)
                self.assertIsNone(message.variant)
        self.assertEqual(Ipc.Message('data', every_byte).payload, every_byte)
        self.assertEqual(Ipc.Message('data', array.array('H', [1])).payload, array.array('H', [1]).tobytes())

    def test_a_bytearray_is_copied(self):
        data = bytearray(b'before')
        message = Ipc.Message('data', data)
        data[:] = b'after!'
        self.assertEqual(message.payload, b'before')

    def test_empty(self):
        for payload in (None, b''):
            message = Ipc.Message('nothing', payload)
            self.assertEqual((message.payload, message.format), (b'', FORMATS.BYTES))
        self.assertEqual((Ipc.Message('t', '').text, Ipc.Message('t', '').format), ('', FORMATS.TEXT))

    def test_text(self):
        message = Ipc.Message('greeting', 'grüß dich \U0001f44b')
        self.assertEqual(message.format, FORMATS.TEXT)
        self.assertEqual(message.text, 'grüß dich \U0001f44b')
        self.assertEqual(message.payload, 'grüß dich \U0001f44b'.encode())

    def test_json(self):
        for value in ({'a': [1, 2.5, None, True], 'ü': {}}, [], [[1]], {}):
            message = Ipc.Message('data', value)
            self.assertEqual((message.format, message.json), (FORMATS.JSON, value))
        self.assertEqual(Ipc.Message('data', (1, 'two')).json, [1, 'two'])
        for value in ({'x': float('nan')}, {'x': b'bytes'}):
            with self.assertRaises((ValueError, TypeError)):
                Ipc.Message('data', value)

    def test_json_as_text(self):
        message = Ipc.Message('data', '{"ready": true}', format=FORMATS.JSON)
        self.assertEqual((message.format, message.json), (FORMATS.JSON, {'ready': True}))

    def test_variant(self):
        message = Ipc.Message('data', GLib.Variant('(sai)', ('x', [1, 2])), {'k': 'v'})
        self.assertEqual(message.format, FORMATS.VARIANT)
        self.assertEqual(message.variant.get_type_string(), '(sai)')
        self.assertEqual(message.variant.unpack(), ('x', [1, 2]))
        self.assertEqual(message.headers, {'k': 'v'})

    def test_headers(self):
        message = Ipc.Message('t', headers={'lang': 'de', 'empty': '', 'ключ': 'значение'})
        self.assertEqual(message.headers, {'lang': 'de', 'empty': '', 'ключ': 'значение'})
        self.assertEqual(message.get_header('lang'), 'de')
        self.assertIsNone(message.get_header('other'))
        self.assertEqual(Ipc.Message('t').headers, {})

    def test_the_rest(self):
        before = GLib.get_real_time()
        message = Ipc.Message('org.example.Thing', 'x')
        self.assertEqual(message.message_type, 'org.example.Thing')
        self.assertTrue(message.id)
        self.assertLessEqual(before, message.timestamp)
        self.assertLessEqual(message.timestamp, GLib.get_real_time())
        self.assertFalse(message.is_request)
        self.assertIn("'org.example.Thing' text, 1 bytes", repr(message))

    def test_what_is_no_payload(self):
        for payload in (5, 1.5, True, object(), {1, 2}, lambda: None):
            with self.subTest(type(payload).__name__), self.assertRaisesRegex(TypeError, 'bytes-like, str, dict'):
                Ipc.Message('t', payload)

    def test_what_c_would_cut_or_mistake(self):
        for args in (('a\0b',), ('t', None, {'a\0': 'x'}), ('t', None, {'a': 'x\0'})):
            with self.subTest(args), self.assertRaisesRegex(ValueError, 'NUL'):
                Ipc.Message(*args)
        for args in ((None,), (b't',), ('t', None, {'n': 1})):
            with self.subTest(args), self.assertRaisesRegex(TypeError, 'must be a str'):
                Ipc.Message(*args)

    def test_by_the_names_of_c(self):
        self.assertEqual(Ipc.Message.new('t', GLib.Bytes.new(b'x')).get_payload().get_data(), b'x')
        self.assertEqual(Ipc.Message.new_text('t', 'x').get_text(), 'x')
        self.assertEqual(Ipc.Message.new_variant('t', GLib.Variant('i', 7)).get_variant().unpack(), 7)
        full = Ipc.Message.new_full('t', FORMATS.JSON, GLib.Bytes.new(b'[1]'), ['k', 'v'], None)
        self.assertEqual((full.get_format(), full.get_headers()), (FORMATS.JSON, {'k': 'v'}))
        self.assertIsInstance(full, Ipc.Message)

    def test_a_reference_keeps_it(self):
        payload = Ipc.Message('t', b'x' * 100000).get_payload()
        self.assertEqual(payload.get_data(), b'x' * 100000)

    def test_errors(self):
        error = Ipc.new_error(Ipc.Error.FULL, 'no room')
        self.assertTrue(error.matches(Ipc.Error.quark(), Ipc.Error.FULL))
        self.assertTrue(Ipc.is_error(error, Ipc.Error.FULL))
        self.assertFalse(Ipc.is_error(error, Ipc.Error.CLOSED))
        foreign = GLib.Error.new_literal(Gio.io_error_quark(), 'x', Ipc.Error.FULL)
        self.assertFalse(Ipc.is_error(foreign, Ipc.Error.FULL))
        self.assertFalse(Ipc.is_error(ValueError('x'), Ipc.Error.FULL))
        self.assertEqual((error.domain, error.message), ('ipc-error-quark', 'no room'))


if __name__ == '__main__':
    tap.main()
