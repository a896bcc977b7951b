"""What people, monitors and commands are told of the whole."""
