"""Output of commands: tables, listings and status lines, read cell by cell however the paste bent them."""
