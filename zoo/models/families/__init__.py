"""A file for every family of networks: its class and its entries. The registry finds them by itself."""
