"""What a report's owner demands of the results, as small values: one file for each check.

All of them look at the results in the same reading of the journal, and each `CustomCheck` in one more of its own.
"""
