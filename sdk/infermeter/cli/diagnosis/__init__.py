"""What `infermeter doctor` looks at: one module per hop of a measurement's way, each says what is wrong and what helps."""
