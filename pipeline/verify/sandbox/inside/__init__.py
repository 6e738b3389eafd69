"""What runs inside a sandbox, with the standard library alone:
the imports here are relative, since only this folder is mounted there and the project is not.
"""
