# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What Python expects of a library, on top of the introspected Ipc:

- Ipc.Message ('type', payload, headers), with properties instead of getters;
- handlers that return str, bytes, dict or Ipc.Message, or are coroutines, and
  whose exceptions reach the peer as an error reply;
- `await` for every *_async method, and an event loop to do it in: Ipc.run ();
- `with server:`, `with client:`, `with semaphore.acquire ():`; object.name for every GObject property;
- `async for delivery in queue:`, and `with delivery:`, which settles it;
- segment.buf, a memoryview of shared memory, segment[0:4] = b'abcd', `with segment.locked ():`; the same for mapped files,
  and `with file.begin () as transaction:`.

Everything stays usable without it, by the names of the C API.
"""

import asyncio
import inspect
import json
import logging
import mmap
import operator
import os
import selectors

import gi
from gi.module import get_introspection_module
from gi.overrides import override
from gi.repository import Gio, GLib, GObject

Ipc = get_introspection_module('Ipc')
__all__ = []

_log = logging.getLogger('ipc-glib')
_running = set()      # tasks of handlers: asyncio itself keeps only weak references


def _export(thing):
    __all__.append(thing.__name__)
    return thing


# ---- errors --------------------------------------------------------------------------------------------------------

@_export
def new_error(code, message):
    """A GLib.Error to raise, or to answer with: new_error (Ipc.Error.FULL, 'no room for more')."""
    return GLib.Error.new_literal(Ipc.Error.quark(), message, code)


@_export
def is_error(error, code):
    """Whether error is a GLib.Error of ipc-glib with this code."""
    return isinstance(error, GLib.Error) and error.matches(Ipc.Error.quark(), code)


def _to_gerror(error):
    """What the peer is told of an exception."""
    if isinstance(error, GLib.Error):
        return error
    if isinstance(error, asyncio.CancelledError):
        return GLib.Error.new_literal(Gio.io_error_quark(), 'the handler was cancelled', Gio.IOErrorEnum.CANCELLED)
    return new_error(Ipc.Error.REMOTE, '%s: %s' % (type(error).__name__, error))


# ---- messages ------------------------------------------------------------------------------------------------------

def _checked(text, what):
    """C would cut the string at a NUL without a word."""
    if not isinstance(text, str):
        raise TypeError('%s must be a str, not %s' % (what, type(text).__name__))
    if '\0' in text:
        raise ValueError('%s contains a NUL: %r' % (what, text))
    return text


def _encode(payload):
    """The (format, GLib.Bytes) of a Python value."""
    if payload is None or isinstance(payload, GLib.Bytes):
        return Ipc.PayloadFormat.BYTES, payload
    if isinstance(payload, str):
        return Ipc.PayloadFormat.TEXT, GLib.Bytes.new(payload.encode())
    if isinstance(payload, GLib.Variant):
        return Ipc.PayloadFormat.VARIANT, Ipc.Message.new_variant('-', payload).get_payload()
    if isinstance(payload, (dict, list, tuple)):
        text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(',', ':'))
        return Ipc.PayloadFormat.JSON, GLib.Bytes.new(text.encode())
    try:
        # Only bytes are passed in one go; anything else would be marshalled item by item.
        return Ipc.PayloadFormat.BYTES, GLib.Bytes.new(bytes(memoryview(payload)))
    except TypeError:
        raise TypeError('a payload is bytes-like, str, dict, list, GLib.Variant or None, not '
                        + type(payload).__name__) from None


def _fd_list(files):
    """A Gio.UnixFDList with duplicates of the descriptors of FILES: whatever has a fileno(), or numbers."""
    if files is None or isinstance(files, Gio.UnixFDList):
        return files
    result = Gio.UnixFDList.new()
    for file in files:
        result.append(file if isinstance(file, int) else file.fileno())
    return result


@_export
@override
class Message(Ipc.Message):
    """
    Message (message_type, payload=None, headers=None): the type of the payload chooses the format:
    bytes-like: BYTES, str: TEXT, dict or list: JSON, GLib.Variant: VARIANT. Another can be said with format
    (Message ('t', '[1,2]', format=Ipc.PayloadFormat.JSON)). fd_list: open files, or their descriptors, which the
    message duplicates; or a Gio.UnixFDList.
    """

    def __new__(cls, message_type, payload=None, headers=None, *, format=None, fd_list=None):
        natural, data = _encode(payload)
        strv = [_checked(text, 'a header') for pair in (headers or {}).items() for text in pair]
        return Ipc.Message.new_full(_checked(message_type, 'the message type'),
                                    natural if format is None else format, data, strv or None, _fd_list(fd_list))

    def __init__(self, *args, **kwargs):
        pass

    message_type = property(Ipc.Message.get_message_type)
    id = property(Ipc.Message.get_id)
    format = property(Ipc.Message.get_format)
    timestamp = property(Ipc.Message.get_timestamp, doc='microseconds since 1970, UTC')
    is_request = property(Ipc.Message.get_is_request)
    fd_list = property(Ipc.Message.get_fd_list)
    text = property(Ipc.Message.get_text, doc='the payload as a str, or None')
    variant = property(Ipc.Message.get_variant, doc='the payload as a GLib.Variant, or None')
    headers = property(lambda self: self.get_headers() or {}, doc='a new dict of the headers')

    @property
    def payload(self):
        """The payload as bytes, whatever its format."""
        data = self.get_payload()
        return (data.get_data() if data is not None else None) or b''

    @property
    def json(self):
        """The payload as a Python value if its format is JSON, else None."""
        return json.loads(self.payload) if self.format == Ipc.PayloadFormat.JSON else None

    def __repr__(self):
        return '<Ipc.Message %r %s, %d bytes>' % (self.message_type, self.format.value_nick, len(self.payload))


# ---- handlers ------------------------------------------------------------------------------------------------------

def _to_reply(request, result):
    if result is None or isinstance(result, Ipc.Message):
        return result
    return Message(request.get_message_type(), result)


def _send_reply(method, request, answer):
    try:
        method(request, answer)
    except GLib.Error as error:     # the peer has gone: there is nobody left to tell
        _log.debug('no reply to %r: %s', request, error.message)


async def _answer_later(connection, request, awaitable):
    is_request = request.get_is_request()
    try:
        reply = _to_reply(request, await awaitable)
        if reply is not None and is_request:
            _send_reply(connection.reply, request, reply)
    except (Exception, asyncio.CancelledError) as error:
        if is_request:
            _send_reply(connection.reply_error, request, _to_gerror(error))
        if isinstance(error, asyncio.CancelledError):
            raise
        if not (is_request and isinstance(error, GLib.Error)):
            _log.exception('in the handler of %r', request)


def _start_task(connection, request, awaitable):
    answer = _answer_later(connection, request, awaitable)
    try:
        task = asyncio.get_running_loop().create_task(answer)
    except RuntimeError:
        answer.close()
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError('an async handler needs a running event loop: start the program with Ipc.run()') from None
    _running.add(task)
    task.add_done_callback(_running.discard)


def _adapt(handler):
    """The IpcMessageHandler of a Python function; it never swallows an exception."""
    def handle(server, connection, request, *user_data):
        try:
            result = handler(server, connection, request, *user_data)
            if inspect.isawaitable(result):
                _start_task(connection, request, result)
                return None
            return _to_reply(request, result)
        except GLib.Error:
            raise
        except Exception as error:
            _log.exception('in the handler of %r', request)
            raise _to_gerror(error) from None
    return handle


# ---- an event loop -------------------------------------------------------------------------------------------------

class _Wakeup(GLib.Source):
    """Wakes its context up when a file descriptor is ready or the time has come; that is all it does."""

    def prepare(self):
        return False, -1

    def check(self):
        return False      # GLib itself looks at the descriptor and at the time

    def dispatch(self, callback, args):
        self.set_ready_time(-1)
        return True


class _ContextSelector(selectors.EpollSelector):
    """Waits in a GLib main context: all of asyncio's descriptors are one there, that of the epoll instance."""

    def __init__(self, context):
        super().__init__()
        self._context = context
        self._source = _Wakeup()
        self._source.add_unix_fd(self.fileno(), GLib.IOCondition.IN)
        self._source.attach(context)

    def select(self, timeout=None):
        if timeout is not None and timeout > 0:
            self._source.set_ready_time(GLib.get_monotonic_time() + int(timeout * 1e6) + 1)
        self._context.iteration(timeout is None or timeout > 0)
        self._source.set_ready_time(-1)
        return super().select(0)

    def close(self):
        if self._source is not None:
            self._source.destroy()
            self._source = None
        super().close()


if gi.version_info >= (3, 50):
    from gi.events import GLibEventLoop as _ContextLoop
else:
    class _ContextLoop(asyncio.SelectorEventLoop):
        def __init__(self, context):
            super().__init__(_ContextSelector(context))


@_export
class EventLoop(_ContextLoop):
    """An asyncio event loop on a GLib main context: the default one if none is given."""

    def __init__(self, context=None):
        self._ipc_context = context or GLib.MainContext.default()
        super().__init__(self._ipc_context)

    def run_forever(self):
        # What is started by a coroutine completes in this loop, in whatever thread it runs.
        self._ipc_context.push_thread_default()
        try:
            super().run_forever()
        finally:
            self._ipc_context.pop_thread_default()


@_export
def run(main, *, debug=None):
    """asyncio.run () on the default GLib main context."""
    with asyncio.Runner(loop_factory=EventLoop, debug=debug) as runner:
        return runner.run(main)


# ---- asynchronous calls --------------------------------------------------------------------------------------------

_DEFAULTS = {'timeout': Ipc.TIMEOUT_DEFAULT, 'cancellable': None}


class _Call(asyncio.Future):
    """
    The result of an asynchronous call; cancelling it cancels the call. `async with` waits for the result and is then
    `with` the result.
    """

    cancellable = None

    async def __aenter__(self):
        return (await self).__enter__()

    async def __aexit__(self, *exception):
        return self.result().__exit__(*exception)

    def cancel(self, msg=None):
        if not super().cancel(msg):
            return False
        self.cancellable.cancel()
        return True


def _running_loop():
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    if type(getattr(loop, '_selector', None)) is selectors.DefaultSelector:
        raise RuntimeError('this event loop never runs GLib: use Ipc.run() instead of asyncio.run()')
    return loop


def _bind(method, names, defaults, args, kwargs):
    """All of the arguments by position; a timeout, a cancellable, and what else has a default may be left out."""
    bound = list(args)
    for name in names[len(args):]:
        if name not in kwargs and name not in defaults:
            raise TypeError('%s() misses the argument %r' % (method, name))
        bound.append(kwargs.pop(name) if name in kwargs else defaults[name])
    if kwargs:
        raise TypeError('%s() got an unexpected argument %r' % (method, next(iter(kwargs))))
    if 'timeout' in names:      # a float would be cut to milliseconds without a word
        operator.index(bound[names.index('timeout')])
    return bound


def _drop(source, method):
    """Nobody waits for the result any more: a lock would be held for ever."""
    undo = getattr(source, '_undo_' + method, None)
    if undo is not None:
        undo()


def _make_awaitable(cls, info):
    """foo_async () with a callback is as it was; without one it returns a future of what foo_finish () returns."""
    method = info.get_name()
    start, finish = getattr(cls, method), getattr(cls, method[:-len('_async')] + '_finish')
    names = [argument.get_name() for argument in info.get_arguments()]
    names = names[:names.index('callback')]
    n = len(names)
    # The method that blocks has the same ones.
    blocking = vars(globals().get(cls.__name__, cls)).get(method[:-len('_async')])
    defaults = {name: parameter.default for name, parameter in inspect.signature(blocking).parameters.items()
                if parameter.default is not parameter.empty} if inspect.isfunction(blocking) else {}
    defaults = {**_DEFAULTS, **defaults}

    def call(self, *args, **kwargs):
        callback = args[n] if len(args) > n else kwargs.pop('callback', None)
        user_data = args[n + 1:]
        bound = _bind(method, names, defaults, args[:n], kwargs)
        loop = _running_loop() if callback is None else None
        if loop is None:
            return start(self, *bound, callback, *user_data)
        future = _Call(loop=loop)
        future.cancellable = bound[-1] = bound[-1] or Gio.Cancellable()

        def done(source, result):
            try:
                value = finish(source, result)
            except GLib.Error as error:
                if not future.done():
                    future.set_exception(error)
                elif is_error(error, Ipc.Error.OWNER_DIED):
                    _drop(source, method)
            else:
                if not future.done():
                    future.set_result(value)
                else:
                    _drop(source, method)
        start(self, *bound, done)
        return future

    call.__name__, call.__qualname__, call.__doc__ = method, '%s.%s' % (cls.__name__, method), start.__doc__
    setattr(cls, method, call)


# ---- objects -------------------------------------------------------------------------------------------------------

class _Requesting:
    """The blocking request of connections and clients, whose timeout may be left out."""

    def request(self, message, timeout=Ipc.TIMEOUT_DEFAULT, cancellable=None):
        return super().request(message, operator.index(timeout), cancellable)


@_export
@override
class Connection(_Requesting, Ipc.Connection):
    pass


class _Handling:
    def add_handler(self, message_type, handler, *user_data):
        """
        Handles messages of one type (None: any other) with handler (server, connection, request, *user_data), server
        being None on a client. What it returns is the reply: str, bytes, dict, list, GLib.Variant or Ipc.Message.
        None: the reply comes later, by connection.reply (). It may be a coroutine function. An exception is an error
        reply: a GLib.Error as it is, any other as Ipc.Error.REMOTE.
        """
        super().add_handler(message_type, _adapt(handler), *user_data)


@_export
@override
class Server(_Handling, Ipc.Server):
    def __bool__(self):
        return True

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *exception):
        await self.stop_async()


@_export
@override
class Client(_Handling, _Requesting, Ipc.Client):
    def __bool__(self):
        return True

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *exception):
        self.close()

    async def __aenter__(self):
        await self.open_async()
        return self

    async def __aexit__(self, *exception):
        self.close()


class _Addressed:
    def __init__(self, address=None, **properties):
        super().__init__(address=address, **properties)


@_export
@override
class SocketServer(_Addressed, Ipc.SocketServer):
    pass


@_export
@override
class SocketClient(_Addressed, Ipc.SocketClient):
    pass


@_export
@override
class PipeServer(_Addressed, Ipc.PipeServer):
    pass


@_export
@override
class PipeClient(_Addressed, Ipc.PipeClient):
    pass


# ---- semaphores ----------------------------------------------------------------------------------------------------

@_export
@override
class Permit(Ipc.Permit):
    """
    A permit of a semaphore, released at the end of a with block, by release (), or with its last reference: that is at
    once where nothing else has it, and only later where an exception, a cycle or a variable still does.
    """

    semaphore = property(Ipc.Permit.get_semaphore)
    is_held = property(Ipc.Permit.get_is_held)
    acquired_at = property(Ipc.Permit.get_acquired_at, doc='microseconds since 1970, UTC')

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.release()

    def __repr__(self):
        return '<Ipc.Permit of %r, %s>' % (self.semaphore.name, 'held' if self.is_held else 'released')


@_export
@override
class Semaphore(Ipc.Semaphore):
    def __init__(self, *args, **kwargs):
        raise TypeError('use an Ipc.SemaphoreManager')

    def acquire(self, timeout=Ipc.TIMEOUT_DEFAULT, cancellable=None):
        """Waits for an Ipc.Permit: `with semaphore.acquire (5000):`"""
        return super().acquire(operator.index(timeout), cancellable)


@_export
@override
class SemaphoreHolder(Ipc.SemaphoreHolder):
    label = property(Ipc.SemaphoreHolder.get_label)
    since = property(Ipc.SemaphoreHolder.get_since, doc='microseconds since 1970, UTC')

    def __repr__(self):
        return '<Ipc.SemaphoreHolder %r>' % self.label


@_export
@override
class SemaphoreManager(Ipc.SemaphoreManager):
    def __init__(self, scope=None, **properties):
        super().__init__(scope=scope, **properties)

    def create_semaphore(self, name, permits=0):
        """Makes a semaphore; the number of its permits is default_permits if none is given."""
        return super().create_semaphore(name, permits)


# ---- shared memory -------------------------------------------------------------------------------------------------

def _to_bytes(data):
    if isinstance(data, GLib.Bytes):
        return data
    if type(data) is bytes:
        return GLib.Bytes.new(data)
    try:
        # Only bytes are passed in one go; anything else would be marshalled item by item.
        return GLib.Bytes.new(bytes(memoryview(data)))
    except TypeError:
        raise TypeError('what is written is bytes-like, not ' + type(data).__name__) from None


class _Locked:
    """The lock of a segment, for a block of with or async with."""

    def __init__(self, segment, timeout, cancellable, repair):
        self._segment = segment
        self._timing = timeout, cancellable
        self._repair = repair

    def _take_over(self, error):
        """Is the lock ours because somebody died with it?"""
        if not is_error(error, Ipc.Error.OWNER_DIED):
            raise error
        try:
            if self._repair is None:
                raise error
            self._repair(self._segment)
            self._segment.mark_consistent()
        except BaseException:
            self._segment.unlock()
            raise
        return self._segment

    def __enter__(self):
        try:
            self._segment.lock(*self._timing)
        except GLib.Error as error:
            return self._take_over(error)
        return self._segment

    async def __aenter__(self):
        try:
            await self._segment.lock_async(*self._timing)
        except GLib.Error as error:
            return self._take_over(error)
        return self._segment

    def __exit__(self, *exception):
        self._segment.unlock()

    async def __aexit__(self, *exception):
        self._segment.unlock()


class _Copy(bytes):
    """Bytes that can also be asked as the GLib.Bytes can that the same call gives without this file."""

    __slots__ = ()

    def get_data(self):
        return bytes(self)

    def get_size(self):
        return len(self)


class _Bytes:
    """What has a size, read () and write (), as a sequence of bytes."""

    _what = 'a segment'
    _view = _view_of = None

    @property
    def buf(self):
        """
        A memoryview of all bytes, without a copy; read-only where they are not to be written. It is kept, and a new one is made
        when that or the size has changed; one from before stays good for what it shows, also without the object.
        """
        wanted = self.get_size(), self._is_writable()
        if self._view is None or self._view_of != wanted:
            self._view, self._view_of = self._map(*wanted), wanted
        return self._view

    def _map(self, size, is_writable):
        self.get_bytes(0, 0)        # says whether it may be read
        fd = self.dup_fd()
        try:
            # The map keeps a descriptor of its own.
            return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_WRITE if is_writable else mmap.ACCESS_READ,
                                        offset=self._map_offset()))
        finally:
            os.close(fd)

    def _map_offset(self):
        return 0

    def _is_writable(self):
        return bool(self.get_access() & Ipc.Access.WRITE)

    def _forget_view(self):
        self._view = self._view_of = None

    def read(self, offset=0, length=None):
        """A copy of the bytes there, as bytes: all that there are if no length is given."""
        offset = operator.index(offset)     # a float would be cut without a word
        if length is None:
            length = max(self.get_size() - offset, 0)
        return _Copy(super().read(offset, operator.index(length)).get_data() or b'')

    def write(self, offset, data):
        """Writes what is bytes-like, or a GLib.Bytes: others see all of it or nothing."""
        return super().write(operator.index(offset), _to_bytes(data))

    def __bool__(self):
        return True

    def __len__(self):
        return self.get_size()

    def __iter__(self):
        return iter(self.read())

    def __contains__(self, what):
        return what in self.read()

    def _index(self, index):
        size = self.get_size()
        i = operator.index(index)
        if not -size <= i < size:
            raise IndexError('byte %d of %s of %d bytes' % (i, self._what, size))
        return i % size

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self.read(self._index(index), 1)[0]
        where = range(*index.indices(self.get_size()))
        if not where:
            return b''
        first, last = min(where[0], where[-1]), max(where[0], where[-1])
        return self.read(first, last - first + 1)[::where.step]

    def __setitem__(self, index, data):
        if not isinstance(index, slice):
            self.write(self._index(index), bytes((data,)))
            return
        start, stop, step = index.indices(self.get_size())
        data = data.get_data() or b'' if isinstance(data, GLib.Bytes) else bytes(memoryview(data))
        if step != 1:
            raise ValueError('only bytes that follow one another can be written in one step')
        if len(data) != max(stop - start, 0):
            raise ValueError('%d bytes cannot take the place of %d' % (len(data), max(stop - start, 0)))
        self.write(start, data)


@_export
@override
class SharedMemory(_Bytes, Ipc.SharedMemory):
    """
    Bytes that processes share. read (), write (), segment[3:5] and the numbers are whole, whoever writes meanwhile; buf is
    the memory itself, without a copy, in which one sees others write. segment[3:5] = b'ab' keeps the size.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError('use Ipc.SharedMemory.new_anonymous(), or an Ipc.SharedMemoryManager')

    def _is_writable(self):
        return super()._is_writable() and not self.get_is_sealed()

    def _map_offset(self):
        return self.get_fd_offset()

    def close(self):
        """
        Lets go of buf: it is unmapped as soon as nothing else looks at it, such as an array of numpy. The segment can be
        used on; this process leaves it with the last reference.
        """
        self._forget_view()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def seal(self):
        """From now on nobody writes. The kernel refuses (Gio.IOErrorEnum.BUSY) while somebody keeps a writable buf."""
        self.close()
        return super().seal()

    def read_int64(self, offset):
        return super().read_int64(operator.index(offset))[1]

    def add_int64(self, offset, summand):
        """Adds as one step, and returns the sum."""
        return super().add_int64(operator.index(offset), operator.index(summand))[1]

    def read_double(self, offset):
        return super().read_double(operator.index(offset))[1]

    def write_int64(self, offset, value):
        return super().write_int64(operator.index(offset), operator.index(value))

    def write_double(self, offset, value):
        return super().write_double(operator.index(offset), value)

    def lock(self, timeout=Ipc.TIMEOUT_DEFAULT, cancellable=None):
        """
        Takes the lock. As in C, it is taken also when the error is Ipc.Error.OWNER_DIED; `with segment.locked ():` does
        not leave it taken.
        """
        return super().lock(operator.index(timeout), cancellable)

    def _undo_lock_async(self):
        self.unlock()

    def locked(self, timeout=Ipc.TIMEOUT_DEFAULT, cancellable=None, *, repair=None):
        """
        Holds the lock during `with segment.locked (5000):`, or `async with`. If a process died with it, repair (segment)
        is called first, with the lock, and then the segment is marked as consistent. Without repair, or if that raises,
        the lock is given back and the error, Ipc.Error.OWNER_DIED, is raised: also the next time, until somebody repairs.
        """
        return _Locked(self, timeout, cancellable, repair)

    def __repr__(self):
        return '<Ipc.SharedMemory %r, %d bytes>' % (self.get_name() or '(anonymous)', self.get_size())


@_export
@override
class SharedMemoryManager(Ipc.SharedMemoryManager):
    def __init__(self, scope=None, **properties):
        super().__init__(scope=scope, **properties)

    def create_segment(self, name, size=0, flags=Ipc.Access(0)):
        """Makes a segment; its size is default_segment_size if none is given. flags: 0 is reading and writing."""
        return super().create_segment(name, operator.index(size), flags)

    def open_segment(self, name, access=Ipc.Access(0)):
        """Opens a segment, for reading and writing if nothing else is said."""
        return super().open_segment(name, access)


class _LockedRange:
    """The lock of a range, for a block of with or async with."""

    def __init__(self, file, where, arguments):
        self._file = file
        self._where = where
        self._arguments = arguments

    def __enter__(self):
        self._file.lock_range(*self._where, *self._arguments)
        return self._file

    async def __aenter__(self):
        await self._file.lock_range_async(*self._where, *self._arguments)
        return self._file

    def __exit__(self, *exception):
        self._file.unlock_range(*self._where)

    async def __aexit__(self, *exception):
        self._file.unlock_range(*self._where)


@_export
@override
class MappedFile(_Bytes, Ipc.MappedFile):
    """
    A file that processes have mapped. file[3:5] and read () are copies, file[3:5] = b'ab' writes and keeps the size; buf is the
    memory itself: whoever writes there calls mark_dirty () afterwards. `with manager.map_file (path) as file:` unmaps it.
    """

    _what = 'a file'

    def __init__(self, *args, **kwargs):
        raise TypeError('use an Ipc.MappedFileManager')

    def mark_dirty(self, offset=0, length=None):
        """All up to the end if no length is given."""
        offset = operator.index(offset)
        if length is None:
            length = max(self.get_size() - offset, 0)
        return super().mark_dirty(offset, operator.index(length))

    def sync(self, offset=0, length=0, cancellable=None):
        """Returns when it is on the disk: all up to the end if no length is given."""
        return super().sync(operator.index(offset), operator.index(length), cancellable)

    def unmap(self):
        """What is dirty is synced; nothing can be read or written any more. Views stay good."""
        super().unmap()
        self._forget_view()

    def lock_range(self, offset=0, length=0, access=Ipc.Access.WRITE, timeout=Ipc.TIMEOUT_DEFAULT, cancellable=None):
        return super().lock_range(operator.index(offset), operator.index(length), access, operator.index(timeout), cancellable)

    def unlock_range(self, offset=0, length=0):
        return super().unlock_range(operator.index(offset), operator.index(length))

    def locked(self, offset=0, length=0, access=Ipc.Access.WRITE, timeout=Ipc.TIMEOUT_DEFAULT, cancellable=None):
        """Holds the lock of a range during `with file.locked (0, 64):`, or `async with`."""
        return _LockedRange(self, (offset, length), (access, timeout, cancellable))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.unmap()

    def __repr__(self):
        return '<Ipc.MappedFile %r, %d bytes>' % (self.get_path(), self.get_size())


@_export
@override
class MappedFileTransaction(Ipc.MappedFileTransaction):
    """`with file.begin () as transaction:` commits at the end, and aborts where an exception comes out."""

    def __init__(self, *args, **kwargs):
        raise TypeError('use Ipc.MappedFile.begin()')

    def write(self, offset, data):
        """Adds what is bytes-like, or a GLib.Bytes."""
        return super().write(operator.index(offset), _to_bytes(data))

    def commit(self, cancellable=None):
        return super().commit(cancellable)

    def __bool__(self):
        return True

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        if kind is not None:
            self.abort()
        elif self.get_is_open():
            self.commit()

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, *exception):
        if kind is not None:
            self.abort()
        elif self.get_is_open():
            await self.commit_async()


@_export
@override
class MappedFileManager(Ipc.MappedFileManager):
    def __init__(self, scope=None, **properties):
        super().__init__(scope=scope, **properties)

    def map_file(self, path, size=0, access=Ipc.Access(0)):
        """Maps a file, for reading and writing if nothing else is said. path may be a pathlib.Path."""
        return super().map_file(os.fspath(path), operator.index(size), access)

    def sync_all(self, cancellable=None):
        return super().sync_all(cancellable)


# ---- queues --------------------------------------------------------------------------------------------------------

@_export
@override
class Delivery(Ipc.Delivery):
    """
    A message that was taken, to be settled. At the end of `with delivery:`, or `async with`, it is acknowledged, or after an
    exception it is given back, to come again; unless it was settled in the block.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError('it comes from an Ipc.MessageQueue')

    def ack(self, cancellable=None):
        """It is done."""
        return super().ack(cancellable)

    def nack(self, delay=-1, cancellable=None):
        """It comes again after delay milliseconds; -1: longer each time."""
        return super().nack(operator.index(delay), cancellable)

    def reject(self, reason=None, cancellable=None):
        """It becomes a dead letter."""
        return super().reject(reason, cancellable)

    def extend(self, duration, cancellable=None):
        """Nobody else gets it before duration milliseconds have passed."""
        return super().extend(operator.index(duration), cancellable)

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        try:
            self.ack() if kind is None else self.nack()
        except GLib.Error as error:
            if not is_error(error, Ipc.Error.NOT_HELD):
                raise

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, *exception):
        try:
            await (self.ack_async() if kind is None else self.nack_async())
        except GLib.Error as error:
            if not is_error(error, Ipc.Error.NOT_HELD):
                raise

    def __repr__(self):
        return '<Ipc.Delivery %d of %r, attempt %d>' % (self.get_id(), self.get_queue_name(), self.get_attempt())


@_export
@override
class MessageQueue(Ipc.MessageQueue):
    """Messages to be taken: `async for delivery in queue:` waits for one after the other, until the queue is deleted."""

    def __init__(self, *args, **kwargs):
        raise TypeError('use an Ipc.QueueManager')

    def publish(self, message, priority=Ipc.Priority.NORMAL, ttl=0, delay=0, dedup_id=None, cancellable=None):
        """Puts a message into the queue, and returns its id. ttl and delay are milliseconds."""
        return super().publish(message, priority, operator.index(ttl), operator.index(delay), dedup_id, cancellable)

    def publish_many(self, messages, priority=Ipc.Priority.NORMAL, ttl=0, delay=0, cancellable=None):
        """Puts all of them into the queue, and returns how many."""
        return super().publish_many(messages, priority, operator.index(ttl), operator.index(delay), cancellable)

    def consume(self, timeout=Ipc.TIMEOUT_DEFAULT, cancellable=None):
        """Waits for an Ipc.Delivery: `with queue.consume (5000) as delivery:`"""
        return super().consume(operator.index(timeout), cancellable)

    def peek(self, max=10, cancellable=None):
        return super().peek(operator.index(max), cancellable)

    def purge(self, cancellable=None):
        return super().purge(cancellable)

    def list_dead(self, max=1000, cancellable=None):
        return super().list_dead(operator.index(max), cancellable)

    def redrive(self, id=0, cancellable=None):
        """Puts dead letters back, all or that one, and returns how many."""
        return super().redrive(operator.index(id), cancellable)

    async def __aiter__(self):
        try:
            while True:
                yield await self.consume_async(-1)
        except GLib.Error as error:
            if not is_error(error, Ipc.Error.DELETED):
                raise

    def __repr__(self):
        return '<Ipc.MessageQueue %r>' % self.get_name()


@_export
@override
class QueueManager(Ipc.QueueManager):
    def __init__(self, scope=None, **properties):
        super().__init__(scope=scope, **properties)

    def create_queue(self, name, cancellable=None):
        return super().create_queue(name, cancellable)

    def open_queue(self, name, cancellable=None):
        return super().open_queue(name, cancellable)

    def delete_queue(self, name, cancellable=None):
        return super().delete_queue(name, cancellable)


# ---- what is the same for every class ------------------------------------------------------------------------------

def _add_property(cls, info):
    name = info.get_name().replace('-', '_')
    if hasattr(cls, name):
        return
    flags, getter, setter = info.get_flags(), getattr(cls, 'get_' + name, None), None
    if getter is None:
        def getter(self):
            return self.get_property(info.get_name())
    if flags & GObject.ParamFlags.WRITABLE and not flags & GObject.ParamFlags.CONSTRUCT_ONLY:
        def setter(self, value):
            self.set_property(info.get_name(), value)
    setattr(cls, name, property(getter, setter))


for _cls in [getattr(Ipc, _name) for _name in dir(Ipc)]:
    if isinstance(_cls, type) and issubclass(_cls, GObject.Object) and hasattr(_cls.__info__, 'get_properties'):
        for _info in _cls.__info__.get_properties():
            _add_property(_cls, _info)
        for _info in _cls.__info__.get_methods():
            if _info.is_method() and _info.get_name().endswith('_async'):
                _make_awaitable(_cls, _info)
