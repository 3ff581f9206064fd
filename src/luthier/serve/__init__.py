"""What is shipped and what answers: bundles, and the endpoint over them."""
