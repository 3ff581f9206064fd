"""The filter of system calls, read as the kernel reads it: what it lets through, what it refuses, and what it kills."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

import pytest

from luthier.core.confined_worker import _AUDIT_ARCH, _CALLS, _FCNTL, _IOCTL, _OPENAT, _PRLIMIT, _filter

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
MACHINES = sorted(_CALLS)
SPECIAL = (_OPENAT, _FCNTL, _IOCTL, _PRLIMIT)


def decided(machine: str, call: int, arguments: Sequence[int] = (), arch: int | None = None) -> int:
    """What the program says of a call: the few operations of the packet filter that it uses, on the kernel's `seccomp_data`."""
    filled = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", call, _AUDIT_ARCH[machine] if arch is None else arch, 0, *filled)
    program, at, value = _filter(machine), 0, 0
    while True:
        operation, if_true, if_false, constant = program[at]
        at += 1
        if operation == 0x20:  # load a word
            (value,) = struct.unpack_from("<I", data, constant)
        elif operation == 0x06:  # return
            return constant
        else:
            holds = {0x15: value == constant, 0x35: value >= constant, 0x45: value & constant != 0}[operation]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_that_are_named_work_and_no_others(machine: str) -> None:
    named = set(_CALLS[machine].values())
    special = {numbers[machine] for numbers in SPECIAL}
    assert not named & special
    for call in range(600):
        if call not in special:
            assert decided(machine, call) == (ALLOW if call in named else REFUSE), call


@pytest.mark.parametrize("machine", MACHINES)
def test_another_processor_s_calls_kill(machine: str) -> None:
    for other in {0x40000003, 0xC000003E, 0xC00000B7, 0} - {_AUDIT_ARCH[machine]}:
        assert decided(machine, _CALLS[machine]["read"], arch=other) == KILL
    assert decided(machine, _CALLS[machine]["read"] | 0x40000000) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_a_file_is_opened_for_reading_alone(machine: str) -> None:
    for harmless in (0, os.O_CLOEXEC, os.O_DIRECTORY, os.O_NOFOLLOW, os.O_NONBLOCK):
        assert decided(machine, _OPENAT[machine], (0, 0, os.O_RDONLY | harmless)) == ALLOW
    for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_TMPFILE):
        assert decided(machine, _OPENAT[machine], (0, 0, flag)) == REFUSE
        assert decided(machine, _OPENAT[machine], (flag, flag, 0)) == ALLOW, "the flags are the third argument"


@pytest.mark.parametrize("machine", MACHINES)
def test_descriptors_are_looked_at_and_not_made_to_send_signals(machine: str) -> None:
    assert [command for command in range(2000) if decided(machine, _FCNTL[machine], (0, command)) == ALLOW] == [0, 1, 2, 3, 1030]
    asked = [one for one in range(0x5400, 0x5500) if decided(machine, _IOCTL[machine], (0, one)) == ALLOW]
    assert asked == [0x5401, 0x5413, 0x5450, 0x5451]


@pytest.mark.parametrize("machine", MACHINES)
def test_limits_are_read_and_never_set(machine: str) -> None:
    assert decided(machine, _PRLIMIT[machine], (0, 7, 0, 0x7FFF12345678)) == ALLOW
    for pointer in (1, 0x7FFF12345678, 0x7FFF00000000):
        assert decided(machine, _PRLIMIT[machine], (0, 7, pointer, 0)) == REFUSE
