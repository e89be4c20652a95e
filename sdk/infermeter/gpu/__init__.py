"""GPUs: what NVML tells, under the names of dcgm-exporter, published once per device."""
