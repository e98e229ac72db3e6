"""What every command needs and no document knows of: files, progress, threads, memory, options."""
