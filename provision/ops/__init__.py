"""What an operator of the installation does: backup, doctor, health, keys, sample, first start."""
