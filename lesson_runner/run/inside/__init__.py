"""What runs inside the kernels' own processes. Started by path; imports nothing of this package."""
