"""What is shipped and what answers: bundles today, the service next."""
