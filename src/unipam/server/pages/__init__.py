"""The register's pages, for people: HTML made on the server. docs/pages.md tells what they are and how one is added."""
