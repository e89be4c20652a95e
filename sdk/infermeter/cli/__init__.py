"""The command line: `infermeter up`, `down`, `status`, `logs` and `version`.

Knows the terminal; what a stack is made of lives in `infermeter.cli.stack`, which knows no terminal.
"""
