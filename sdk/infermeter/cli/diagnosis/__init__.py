"""What `infermeter doctor` looks at: one module per hop of a measurement's way, saying what is wrong and what helps."""
