"""`infermeter demo`: breaks the fleet on purpose and compares the alerts with what was stated before."""
