"""HAProxy: configuration as a typed tree, its text, runtime commands, and the reading of its statistics. No I/O."""
