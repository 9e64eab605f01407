"""The engine: a process of its own that fetches with greenlets.

`process` and `job` are the parent's side and import neither gevent nor requests; all else runs in the child,
whose interpreter is patched by the first statement of `__main__`.
"""
