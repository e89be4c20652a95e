"""What infermeter costs, next to named peers, in one run. Ratios hold on any machine; absolute times do not."""
