"""A fake NVIDIA driver library for tests: C that reads shared memory, and the other end of that memory in Python."""
