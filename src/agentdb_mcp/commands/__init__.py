"""What people and hosts type: a file for each group of commands, and what they share."""
