"""The reference: a site of the library's public names and of the commands' pages."""
