"""The portal, by HTTP and in a browser."""
