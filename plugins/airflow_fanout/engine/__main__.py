import sys

# What was loaded before the patch (by a sitecustomize of a monitoring agent's, say) isn't patched.
BEFORE = dict(sys.modules)

from importlib import metadata

from gevent import monkey

# gevent looks for its plugins two dozen times while it patches, each time in the files of all installed packages: 0.2 s
# where there are as many as in an image of Airflow's. Looked through once, it is a hundredth of a second.
look_through = metadata.entry_points
metadata.entry_points = look_through().select
monkey.patch_all()
metadata.entry_points = look_through

# Everything below is imported by a patched interpreter. This file runs as a script, in an interpreter that knows
# nothing yet: the parent's first message brings its `sys.path`.
import contextlib
import json
import os


def main() -> None:
    """Read the job from the parent's pipe and do it, telling what happens by the other one."""
    parent_pipe, board, told_pipe = map(int, sys.argv[1:])
    for descriptor in (parent_pipe, board, told_pipe):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - its own signature
    begun = _with_first_line(parent_pipe)
    _, job = json.loads(begun.partition(b"\n")[0])
    sys.path[:] = job["path"]

    from airflow_fanout.engine.early import complaint, loaded_too_early

    if too_early := loaded_too_early(BEFORE):
        from airflow_fanout.launch.messages import Failed, encode

        os.write(told_pipe, encode(Failed("LoadedTooEarly", complaint(too_early), is_final=True)))
        os._exit(os.EX_CONFIG)

    from airflow_fanout.launch.board import Board
    from airflow_fanout.engine.run import run

    code = run(begun, parent_pipe, told_pipe, Board(board))
    # What functions have left behind (threads, what they registered with atexit) doesn't keep the engine from ending.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _with_first_line(pipe: int) -> bytes:
    """Return what can be read, at least a whole line."""
    text = piece = b""
    while b"\n" not in piece:
        piece = os.read(pipe, 1 << 16)
        if not piece:
            sys.exit("the parent ended before it sent the job")
        text += piece
    return text


if __name__ == "__main__":
    main()
