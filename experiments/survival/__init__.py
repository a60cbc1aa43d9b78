"""What kills cost a training, and that they change nothing."""
