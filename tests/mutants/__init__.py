"""Deliberate faults in the code that decides, and whether a module's own tests notice them.

`make mutants` changes one thing at a time, by cosmic-ray, and runs the module's tests over each change. A change that
no test notices is a hole in the tests, or changes nothing that anybody could see: then it stands in
`equivalents.toml`, with the reason.
"""
