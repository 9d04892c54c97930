"""What happens: blocks → kernels → what happened. The only edge to Jupyter and processes."""
