"""A fraud scoring service with two model versions: the example that `infermeter up` starts."""
