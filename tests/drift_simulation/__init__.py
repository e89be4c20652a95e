"""How often alerts on drift are wrong, and how often they find a shift: ours next to what is installed of others."""
