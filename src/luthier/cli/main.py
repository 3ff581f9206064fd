"""The entry point: runs a command, and turns what went wrong into a message and an exit code.

0 done · 1 our bug · 2 your input · 3 the gate said hold · 130 interrupted and resumable
"""

from __future__ import annotations

import errno
import io
import json
import sys
import traceback
from collections.abc import Sequence

import typer

from luthier.core.errors import LuthierError
from luthier.core.interrupts import EXIT_CODE, Interrupted

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FREE = "free space, then give the same command again"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be text; in JSON, what stands for its bytes is then spelled as JSON spells it.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; gives the exit code."""
    from luthier.cli.commands import app

    if not arguments:
        run(["--help"])
        return 2
    as_json = "--json" in arguments
    try:
        code = app(args=list(arguments), standalone_mode=False, prog_name="luthier")
    except LuthierError as error:
        return _refuse(error, as_json)
    except typer.Abort as aborted:
        # The parser's library takes the end of any file for a wish to stop.
        return _our_bug() if isinstance(aborted.__cause__, EOFError) else EXIT_CODE
    except typer.TyperException as error:
        return _refuse(_misused(error), as_json)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)  # noqa: T201 - the last words before leaving
        return EXIT_CODE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201 - the last words before leaving
        return EXIT_CODE
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno in _DISK_FULL:
            return _refuse(LuthierError(str(error.filename or "the disk"), f"it could not be written: {error.strerror}", _FREE), as_json)
        if error.errno in _REFUSED:
            said = f"the system refuses it: {error.strerror}"
            return _refuse(LuthierError(str(error.filename or "a file"), said, "check the path and its permissions"), as_json)
        return _our_bug()
    except Exception:
        return _our_bug()
    if code == EXIT_CODE:  # the library's answer to Ctrl-C, where nothing could be saved
        print("stopped", file=sys.stderr)  # noqa: T201 - the last words before leaving
    return code if isinstance(code, int) else 0


def _our_bug() -> int:
    """Say all that is known of a failure that is not the user's."""
    traceback.print_exc()
    print("\nThis is a bug in Luthier, not in your input. Please report it with the lines above.", file=sys.stderr)  # noqa: T201
    return 1


def _misused(error: typer.TyperException) -> LuthierError:
    """What the parser of the command line found, with the command as its place."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "luthier"
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    return LuthierError(command, said[:1].lower() + said[1:], f"see `{command} --help`")


def _refuse(error: LuthierError, as_json: bool) -> int:
    """Say what is wrong: for people on stderr, for programs as one object on stdout."""
    if as_json:
        print(json.dumps({"errors": [one.as_dict() for one in error.errors]}, ensure_ascii=False, indent=2))  # noqa: T201 - the result
    else:
        print(error, file=sys.stderr)  # noqa: T201 - the result
    return 2


if __name__ == "__main__":
    main()
