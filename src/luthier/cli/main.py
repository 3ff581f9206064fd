"""The entry point: runs a command, and turns what went wrong into a message and an exit code.

0 done · 1 our bug · 2 your input · 3 the gate said hold · 130 interrupted and resumable
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence

import click

from luthier.core.errors import LuthierError
from luthier.core.interrupts import EXIT_CODE, Interrupted


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; gives the exit code."""
    from luthier.cli.commands import app

    as_json = "--json" in arguments
    try:
        code = app(args=list(arguments), standalone_mode=False, prog_name="luthier")
    except LuthierError as error:
        return _refuse(error, as_json)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.Abort:
        return EXIT_CODE
    except click.ClickException as error:
        return _refuse(
            LuthierError("command line", error.format_message(), "see `luthier --help`, or `--help` behind the command"), as_json
        )
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)  # noqa: T201 - the last words before leaving
        return EXIT_CODE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201 - the last words before leaving
        return EXIT_CODE
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception:
        traceback.print_exc()
        print("\nThis is a bug in Luthier, not in your input. Please report it with the lines above.", file=sys.stderr)  # noqa: T201
        return 1
    return code if isinstance(code, int) else 0


def _refuse(error: LuthierError, as_json: bool) -> int:
    """Say what is wrong: for people on stderr, for programs as one object on stdout."""
    if as_json:
        print(json.dumps({"errors": [one.as_dict() for one in error.errors]}, ensure_ascii=False, indent=2))  # noqa: T201 - the result
    else:
        print(error, file=sys.stderr)  # noqa: T201 - the result
    return 2


if __name__ == "__main__":
    main()
